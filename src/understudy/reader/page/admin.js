// The progress of all readers, and no answer.

const $ = (id) => document.getElementById(id);

async function show() {
  const token = location.hash.slice(1);
  if (token) {
    history.replaceState(null, "", "/admin");
    await fetch("/api/enter", { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify({ token }) });
  }
  const response = await fetch("/api/progress", { cache: "no-store" });
  const found = await response.json();
  if (!response.ok) {
    $("place").textContent = `${found.error}.`;
    return;
  }
  $("title").textContent = found.title;
  $("place").textContent = "";
  $("rows").replaceChildren(...found.readers.map((one, i) => {
    const row = document.createElement("tr");
    const cells = [one.reader, `${one.answered} of ${found.total[i]}`, one.seconds === null ? "" : one.seconds.toFixed(1), one.last ? new Date(one.last * 1000).toLocaleString() : ""];
    row.append(...cells.map((text) => Object.assign(document.createElement("td"), { textContent: text })));
    return row;
  }));
  setTimeout(show, 5000);
}

show().catch(() => { $("place").textContent = "The server does not answer: reload the page when it does."; });
