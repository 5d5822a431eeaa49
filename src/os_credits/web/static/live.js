// Renews the figures of a page while it is looked at: the page is read again, and the parts
// marked data-live (and the chart's numbers) are exchanged. Without it, reloading does the same.
"use strict";

(() => {
  const INTERVAL_MS = 10_000;

  const renew = async () => {
    if (document.hidden) return;
    let answer;
    try {
      answer = await fetch(location.pathname + location.search, { headers: { Accept: "text/html" } });
    } catch {
      return; // away for the moment: what is shown stays
    }
    if (!answer.ok) return;
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    const numbers = document.getElementById("chart-data");
    const freshNumbers = fresh.getElementById("chart-data");
    if (Boolean(numbers) !== Boolean(freshNumbers)) {
      location.reload();
      return;
    }
    for (const part of document.querySelectorAll("[data-live]")) {
      const renewed = fresh.getElementById(part.id);
      if (renewed && renewed.innerHTML !== part.innerHTML) {
        part.innerHTML = renewed.innerHTML;
        window.htmx?.process(part);
      }
    }
    if (numbers && numbers.textContent !== freshNumbers.textContent) {
      numbers.textContent = freshNumbers.textContent;
      document.dispatchEvent(new Event("page-renewed"));
    }
  };

  setInterval(renew, INTERVAL_MS);
})();
