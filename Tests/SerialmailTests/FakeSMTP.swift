/// A small SMTP server that says what a test wants.
struct FakeSMTP: Sendable {
    var greeting = "220 fake"
    var hello = "250-fake\r\n250 PIPELINING"
    /// What it says to a command, or to the text of a message ("."), if not what it always does; an empty reply hangs up.
    var answer: @Sendable (_ command: String) -> String? = { _ in nil }
    let heard = Transcript()
    /// The texts of messages, as they came.
    let texts = Transcript()

    @Sendable func serve(_ peer: FakePeer) {
        peer.say(greeting + "\r\n")
        var hasRecipient = false
        while let line = peer.line() {
            let command = String(line.dropLast(line.hasSuffix("\r\n") ? 1 : 0))
            heard.note(command)
            let verb = command.prefix(4).uppercased()
            let reply = answer(command) ?? usual(verb, hasRecipient)
            if reply.isEmpty { return }
            peer.say(reply + "\r\n")
            if verb == "MAIL" { hasRecipient = false }
            if verb == "RCPT" { hasRecipient = reply.hasPrefix("2") }
            if verb == "DATA", reply.hasPrefix("354") {
                guard let text = text(peer) else { return }
                texts.note(text)
                let outcome = answer(".") ?? "250 queued"
                if outcome.isEmpty { return }
                peer.say(outcome + "\r\n")
            }
            if verb == "QUIT" { return }
        }
    }

    private func usual(_ verb: String, _ hasRecipient: Bool) -> String {
        switch verb {
        case "EHLO": hello
        case "DATA": hasRecipient ? "354 go" : "503 nobody"
        case "QUIT": "221 bye"
        default: "250 ok"
        }
    }

    /// Up to the line with the dot, which is not told; nil if the connection ends first.
    private func text(_ peer: FakePeer) -> String? {
        var text = ""
        while let line = peer.line() {
            if line == ".\r\n" { return text }
            text += line
        }
        return nil
    }
}
