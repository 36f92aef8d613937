// Elements: find them by id, and make them of a tag, properties and children; a child that is text stays text.

export const $ = (id) => document.getElementById(id);

export const make = (tag, properties = {}, ...children) => {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
};

// Copies a text and says so on the button for a moment.
export const copying = (button, text) => {
  const label = button.textContent;
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(typeof text === "function" ? text() : text);
      button.textContent = "Copied";
    } catch {
      button.textContent = "Your browser forbids copying";
    }
    setTimeout(() => { button.textContent = label; }, 1500);
  });
  return button;
};
