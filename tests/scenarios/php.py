"""Debian's PHP-FPM with a configuration of the scenario's own, on a Unix socket in its folder."""

import glob
import subprocess

from sportello import _die_with_parent, check, until, write

FPM = sorted(glob.glob("/usr/sbin/php-fpm*"))[-1]


class Pool:
    """Four processes, listening on `socket`. Where the scenario is root they run as another user, who must be let in."""

    def __init__(self, here):
        self.socket = here / "fpm.sock"
        write(here / "fpm.conf", f"""
[global]
daemonize = no
error_log = {here}/fpm.log
[www]
user = nobody
group = nogroup
listen = {self.socket}
pm = static
pm.max_children = 4
php_admin_value[post_max_size] = 64M
php_admin_value[upload_max_filesize] = 64M
php_admin_flag[log_errors] = on
""")
        self.process = subprocess.Popen([FPM, "-n", "-y", str(here / "fpm.conf"), "-F"], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, preexec_fn=_die_with_parent)
        until(lambda: self.socket.exists() or self.process.poll() is not None, "PHP-FPM listens")
        check(self.process.poll() is None, f"PHP-FPM runs: {(here / 'fpm.log').read_text()}")

    def stop(self):
        self.process.terminate()
        self.process.wait(30)
