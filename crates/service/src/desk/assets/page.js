// What every page does: times in the reader's own zone, buttons that copy a command.
import { localise } from "./format.js";

export function enliven(root) {
  localise(root);
  for (const button of root.querySelectorAll("button.copy")) {
    if (!navigator.clipboard) continue;
    button.hidden = false;
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(button.dataset.copy);
      button.textContent = "Copied";
      setTimeout(() => { button.textContent = "Copy"; }, 1500);
    });
  }
}

enliven(document);
