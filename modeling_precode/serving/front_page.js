// The front page of the service: labels a pasted or dropped conversation, and one that is typed line by line.
"use strict"

const EXAMPLE = `Ana: Did you open the letter yet?
Ben: No. My hands are shaking, I can't do it.
Ana: Give it here. Oh my god. Ben, you got in!
Ben: What? Are you serious?
Ana: I'm so happy for you!`

const byId = id => document.getElementById(id)
const key = () => byId("key")?.value ?? ""

function say(status, message, isWrong = false) {
  status.textContent = message
  status.classList.toggle("wrong", isWrong)
}

// A whole conversation

const text = byId("text"), file = byId("file"), frame = byId("result"), save = byId("save")
const labelButton = byId("whole").querySelector("button")
let dropped = null

async function labelWhole() {
  const chosen = dropped ?? file.files[0]
  if (!chosen && !text.value.trim()) {
    say(byId("status"), "Enter a conversation, or choose a file.", true)
    text.focus()
    return
  }
  const form = new FormData()
  form.append("file", chosen ?? new Blob([text.value], {type: "text/plain"}), chosen?.name ?? "Conversation")
  if (byId("explain").checked) form.append("explain", "true")
  labelButton.disabled = true
  say(byId("status"), "Labeling…")
  try {
    const headers = key() ? {Authorization: `Bearer ${key()}`} : {}
    const response = await fetch("v1/page", {method: "POST", body: form, headers})
    if (response.ok) show(await response.text())
    else say(byId("status"), await errorOf(response), true)
  } catch {
    say(byId("status"), "The service did not answer. Try again.", true)
  }
  labelButton.disabled = false
}

async function errorOf(response) {
  try {
    return `Not labeled: ${(await response.json()).error}.`
  } catch {
    return `Not labeled: the answer had the status ${response.status}.`
  }
}

function show(page) {
  frame.srcdoc = page
  frame.hidden = false
  URL.revokeObjectURL(save.href)
  save.href = URL.createObjectURL(new Blob([page], {type: "text/html"}))
  save.hidden = false
  say(byId("status"), "Labeled. The result is below.")
}

function chooseDropped(chosen) {
  dropped = chosen
  say(byId("status"), chosen ? `The file ${chosen.name} is chosen. Label it, or edit the text to use that.` : "")
}

byId("whole").addEventListener("submit", event => {
  event.preventDefault()
  labelWhole()
})
text.addEventListener("keydown", event => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) labelWhole()
})
text.addEventListener("input", () => {
  file.value = ""
  chooseDropped(null)
})
file.addEventListener("change", () => chooseDropped(null))
byId("example").addEventListener("click", () => {
  text.value = EXAMPLE
  file.value = ""
  dropped = null
  labelWhole()
})
frame.addEventListener("load", () => {
  const root = frame.contentDocument?.documentElement
  if (!root) return
  // What is drawn later may be higher than it was estimated, and so may a page in a narrower window.
  new ResizeObserver(() => {
    frame.style.height = `${Math.min(root.offsetHeight + 4, 3000)}px`
  }).observe(root)
})
for (const name of ["dragover", "dragleave", "drop"]) {
  document.addEventListener(name, event => {
    event.preventDefault()
    text.classList.toggle("drop", name === "dragover")
    if (name === "drop" && event.dataTransfer.files.length) {
      file.value = ""
      chooseDropped(event.dataTransfer.files[0])
      labelWhole()
    }
  })
}

// As you type

const live = byId("live")
let socket = null
// The items of the utterances whose labels have not arrived.
let waiting = []

function opened() {
  if (socket && socket.readyState <= WebSocket.OPEN) return socket
  const address = new URL("v1/stream", location.href)
  address.protocol = address.protocol.replace("http", "ws")
  const own = new WebSocket(address)
  socket = own
  if (key()) own.addEventListener("open", () => own.send(JSON.stringify({api_key: key()})))
  own.addEventListener("message", event => {
    if (own === socket) showTurn(JSON.parse(event.data))
  })
  own.addEventListener("close", event => {
    if (own !== socket) return
    socket = null
    for (const item of waiting) item.remove()
    waiting = []
    const reason = event.reason || "the connection was closed"
    say(byId("live-status"), `The conversation ended: ${reason}. The next utterance begins a new one.`, true)
  })
  return own
}

function showTurn(turn) {
  if (turn.error) {
    waiting.shift()?.remove()
    say(byId("live-status"), `Not labeled: ${turn.error}.`, true)
    return
  }
  const label = document.createElement("b")
  label.textContent = `${turn.label} ${Math.round(100 * turn.score)}%`
  waiting.shift()?.prepend(label)
}

function sendUtterance() {
  const speaker = byId("speaker").value.trim(), said = byId("utterance").value.trim()
  if (!said) return
  const item = document.createElement("li"), words = document.createElement("span")
  words.dir = "auto"
  words.textContent = speaker ? `${speaker}: ${said}` : said
  item.append(words)
  byId("turns").append(item)
  say(byId("live-status"), "")
  const own = opened(), message = JSON.stringify({speaker, text: said})
  waiting.push(item)
  if (own.readyState === WebSocket.OPEN) own.send(message)
  else own.addEventListener("open", () => own.send(message))
  byId("utterance").value = ""
  byId("utterance").focus()
}

if (live) {
  live.addEventListener("submit", event => {
    event.preventDefault()
    sendUtterance()
  })
  byId("restart").addEventListener("click", () => {
    const own = socket
    socket = null
    waiting = []
    own?.close()
    byId("turns").replaceChildren()
    say(byId("live-status"), "A new conversation.")
    byId("utterance").focus()
  })
}
