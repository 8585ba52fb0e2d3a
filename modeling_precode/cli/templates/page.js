// Marks the utterances that speak for or against the label of the one that is pointed at or focused.
for (const dialogue of document.querySelectorAll(".dialogue")) {
  const show = event => {
    const item = /leave|out/.test(event.type) ? null : event.target.closest("li[id]")
    for (const marked of dialogue.querySelectorAll("[data-change]")) marked.removeAttribute("data-change")
    if (!item || !item.dataset.because) return
    for (const mark of item.dataset.because.split(" ")) {
      const [id, change, strength] = mark.split(",")
      const other = document.getElementById(id).querySelector(".text")
      other.dataset.change = change.replace("-", "−")
      other.style.setProperty("--strength", `${strength * 100}%`)
    }
  }
  dialogue.addEventListener("pointerover", show)
  dialogue.addEventListener("focusin", show)
  dialogue.addEventListener("pointerleave", show)
  dialogue.addEventListener("focusout", show)
}
