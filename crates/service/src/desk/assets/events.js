// The event stream, and the word at the top that says how it is doing.

const live = document.getElementById("live");

function say(state, word) {
  if (!live || live.dataset.state === state) return;
  live.dataset.state = state;
  live.querySelector(".word").textContent = word;
}

/// Listens to `url`; `handlers` has a function for each kind of event, which is given its data. A page that is not seen does
/// not listen, so that nobody is told what nobody reads.
export function listen(url, handlers) {
  let source = null;
  const open = () => {
    if (source) return;
    source = new EventSource(url);
    source.onopen = () => say("live", "live");
    source.onerror = () => {
      say("lost", "reconnecting");
      if (source && source.readyState === EventSource.CLOSED) {
        // Refused (too many watch, or the server stops): ask again later.
        source = null;
        setTimeout(open, 5000);
      }
    };
    for (const [kind, handler] of Object.entries(handlers)) {
      source.addEventListener(kind, (event) => {
        say("live", "live");
        handler(JSON.parse(event.data));
      });
    }
  };
  const close = () => {
    if (source) source.close();
    source = null;
  };
  document.addEventListener("visibilitychange", () => (document.hidden ? close() : open()));
  addEventListener("pagehide", close);
  addEventListener("pageshow", open);
  if (!document.hidden) open();
}
