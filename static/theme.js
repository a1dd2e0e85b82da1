// Light, dark, or as the system has it. It runs before anything is painted, so that no page flashes in the other colours.
const root = document.documentElement;
const kept = () => {
  try {
    return localStorage.getItem("theme");
  } catch {
    return null;
  }
};
const show = (theme) => {
  root.dataset.theme = theme;
  for (const button of document.querySelectorAll("[data-set-theme]")) button.setAttribute("aria-pressed", button.dataset.setTheme === theme);
};
show(kept() ?? "auto");
addEventListener("DOMContentLoaded", () => show(root.dataset.theme));
addEventListener("click", (event) => {
  const theme = event.target.closest("[data-set-theme]")?.dataset.setTheme;
  if (!theme) return;
  show(theme);
  try {
    localStorage.setItem("theme", theme);
  } catch {
    // It holds for this page.
  }
});
// Another tab has changed it.
addEventListener("storage", (event) => event.key === "theme" && show(event.newValue ?? "auto"));

// The reader's time zone, for times that the server writes. In UTC there is nothing to say. To ask for it takes as long as to lay out a
// hundred rows, so it is done when they are painted; at once only for a reader who was never seen, whose page is asked for again.
{
  const compare = () => {
    const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
    const known = document.cookie.match(/(?:^|; )tz=([^;]*)/)?.[1] ?? "UTC";
    if (!zone || zone === known) return;
    document.cookie = `tz=${zone}; path=/; max-age=31536000; samesite=lax`;
    if (document.cookie.includes(`tz=${zone}`)) location.reload();
  };
  const isNew = !/(?:^|; )tz=/.test(document.cookie) && new Date().getTimezoneOffset() !== 0;
  if (isNew) compare();
  else requestAnimationFrame(() => setTimeout(compare));
}
