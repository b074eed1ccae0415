// Keys for those who read by keyboard; none while something is being typed or another program's key is meant.

/// `actions` has a function for each key.
export function keys(actions) {
  addEventListener("keydown", (event) => {
    const field = event.target.closest?.("input:not([type=checkbox]), textarea, select");
    if (field) {
      if (event.key === "Escape") field.blur();
      return;
    }
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    const action = actions[event.key];
    if (action) {
      event.preventDefault();
      action();
    }
  });
}

/// Opens a question that is answered by its button.
export function ask(details) {
  if (!details) return;
  details.open = true;
  details.querySelector("button")?.focus();
}
