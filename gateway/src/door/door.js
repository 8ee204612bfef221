const query = new URLSearchParams(location.search);
for (const part of document.querySelectorAll("[data-when]")) part.hidden = !query.get(part.dataset.when);
for (const part of document.querySelectorAll("[data-unless]")) part.hidden = !!query.get(part.dataset.unless);
for (const input of document.querySelectorAll("[data-query]")) input.value = query.get(input.dataset.query) || "";
for (const link of document.querySelectorAll("[data-invitation]"))
  link.search += "&invitationCode=" + encodeURIComponent(query.get("signupInvitationCode") || "");
// Codes and tokens stay out of the browser's history.
if (location.search) history.replaceState(null, "", location.pathname);
const told = (form, answer, body) => {
  if (!answer.ok) return (body.actionErrors || []).join("\n") || "This did not work: " + answer.status;
  const left = body.apiKeysLeft ? body.apiKeysLeft.apiKeys : [];
  return form.dataset.done + (left.length ? "\nThese API keys still work: " + left.join(", ") : "");
};
for (const form of document.forms) form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const output = form.querySelector("output"), button = form.querySelector("button"), sent = {};
  for (const field of form.elements)
    if (field.name) sent[field.name] = field.type === "checkbox" ? field.checked : field.value;
  button.disabled = true;
  try {
    const answer = await fetch(form.dataset.post, {
      method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(sent),
    });
    const body = await answer.json().catch(() => ({}));
    output.className = answer.ok ? "good" : "bad";
    output.textContent = told(form, answer, body);
    if (answer.ok) form.reset();
  } catch {
    output.className = "bad";
    output.textContent = "The installation does not answer.";
  }
  button.disabled = false;
});
