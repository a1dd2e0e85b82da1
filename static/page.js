// Small comforts; everything works without them.
addEventListener("keydown", (event) => {
  if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, textarea")) return;
  const field = document.getElementById("f-message");
  if (field) {
    event.preventDefault();
    field.focus();
    field.select();
  }
});
const offline = (hidden) => () => (document.getElementById("offline").hidden = hidden);
addEventListener("htmx:sendError", offline(false));
addEventListener("htmx:afterRequest", (event) => event.detail.successful && offline(true)());
