const large = document.getElementById("large");
document.addEventListener("click", (event) => {
  if (large.open) { large.close(); return; }
  if (event.target.tagName !== "IMG") return;
  large.firstElementChild.src = event.target.src;
  large.firstElementChild.alt = event.target.alt;
  large.showModal();
});
