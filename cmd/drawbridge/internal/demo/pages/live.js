(() => {
  const shown = new Map();
  for (const part of document.querySelectorAll('[data-live]')) shown.set(part.id, part.innerHTML);
  let busy = false;
  const renew = async () => {
    if (busy || document.hidden) return;
    busy = true;
    try {
      const answer = await fetch(location.href, { headers: { 'X-Live': 'yes' }, cache: 'no-store' });
      if (!answer.ok) return;
      const fresh = new DOMParser().parseFromString(await answer.text(), 'text/html');
      for (const [id, before] of shown) {
        const next = fresh.getElementById(id);
        if (!next || next.innerHTML === before) continue;
        shown.set(id, next.innerHTML);
        document.getElementById(id).replaceWith(document.adoptNode(next));
      }
    } catch {
      // the demo has ended; the page stays as it is
    } finally {
      busy = false;
    }
  };
  if (shown.size > 0) setInterval(renew, 1000);
})();
