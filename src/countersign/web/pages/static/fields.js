// Fields: a password can be shown while it is typed, and an address that was typed goes along to the next form of the same tab.

for (const box of document.querySelectorAll("[data-reveals]")) {
  const field = document.getElementById(box.dataset.reveals);
  const hide = () => {
    box.checked = false;
    field.type = "password";
  };
  box.closest("label").hidden = false;
  box.addEventListener("change", () => { field.type = box.checked ? "text" : "password"; });
  // A browser keeps what an ordinary field held; a password is one again before it leaves or comes back.
  field.form.addEventListener("submit", hide);
  addEventListener("pageshow", hide);
}

// A new password is set once: a second press would find that there is nothing left to set, and hide the good news.
for (const form of document.querySelectorAll('form[action="/recover/password"]')) {
  form.addEventListener("submit", (event) => {
    if (form.dataset.sent) event.preventDefault();
    form.dataset.sent = "yes";
  });
  addEventListener("pageshow", () => { delete form.dataset.sent; });
}

// By a link alone, and once: what was sent is the server's to show again, and the next person at this computer sees nothing.
const KEY = "typed";
const typed = document.getElementById("identifier");
if (typed) {
  try {
    typed.value ||= sessionStorage.getItem(KEY) ?? "";
    sessionStorage.removeItem(KEY);
    document.addEventListener("click", (event) => {
      if (event.target.closest('a[href^="/"]')) sessionStorage.setItem(KEY, typed.value);
    });
  } catch { /* this browser keeps nothing */ }
}
