"""Draws the course of congestion windows and of segments sent again, as an SVG of its own."""

WIDTH, HEIGHT, LEFT, TOP, GAP = 880, 170, 60, 34, 56
WINDOW, AGAIN = "#2b6cb0", "#c05621"


def draw(courses):
    """`courses`: title to a list of [seconds, window in segments, segments sent again so far]."""
    parts, top = [], TOP
    for title, samples in courses.items():
        parts.append(panel(title, samples, top))
        top += HEIGHT + GAP
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH + LEFT + 60} {top}" font-family="sans-serif" '
            f'font-size="12" role="img" aria-label="Congestion windows and segments sent again over a bad network">'
            f'<rect width="100%" height="100%" fill="#fff"/>{"".join(parts)}</svg>\n')


def panel(title, samples, top):
    seconds = max(samples[-1][0], 0.1)
    widest, most = max(sample[1] for sample in samples), max(max(sample[2] for sample in samples), 1)

    def x(time):
        return LEFT + time / seconds * WIDTH

    def line(index, greatest, colour):
        points = " ".join(f"{x(sample[0]):.1f},{top + HEIGHT * (1 - sample[index] / greatest):.1f}" for sample in thin(samples))
        return f'<polyline fill="none" stroke="{colour}" stroke-width="1.4" points="{points}"/>'

    ticks = "".join(f'<text x="{x(tick):.0f}" y="{top + HEIGHT + 16}" text-anchor="middle" fill="#555">{tick} s</text>'
                    for tick in range(0, int(seconds) + 1, max(1, int(seconds) // 8)))
    return (f'<text x="{LEFT}" y="{top - 10}" font-weight="bold">{title}</text>'
            f'<text x="{LEFT + 300}" y="{top - 10}" fill="{WINDOW}">congestion window, at most {widest} segments</text>'
            f'<text x="{LEFT + 580}" y="{top - 10}" fill="{AGAIN}">segments sent again, {most} in all</text>'
            f'<rect x="{LEFT}" y="{top}" width="{WIDTH}" height="{HEIGHT}" fill="none" stroke="#bbb"/>'
            f'{line(1, widest, WINDOW)}{line(2, most, AGAIN)}{ticks}')


def thin(samples, most=700):
    step = max(1, len(samples) // most)
    return samples[::step]
