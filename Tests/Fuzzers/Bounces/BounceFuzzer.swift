import Bounces
import Mail

/// A notice out of any words and any original: it never traps, its lines are ones that SMTP carries, and its parts are
/// as many as were written.
func fuzzBounceMessage(_ input: UnsafeRawBufferPointer) {
    guard input.count > 2 else { return }
    let pieces = Array(input.dropFirst(2)).split(separator: 0xFF, maxSplits: 6, omittingEmptySubsequences: false)
    let words = pieces.map { String(decoding: $0, as: UTF8.self) }
    func word(_ index: Int) -> String { index < words.count ? words[index] : "" }
    let address = EmailAddress(local: word(0), domain: word(1))
    let reason = Reason(Int(input[0]) * 3, word(2), word(3))
    let failed = FailedMessage(
        sender: input[0] & 1 == 0 ? .null : .address(address),
        recipients: [
            FailedRecipient(
                address: address, verdict: input[0] & 2 == 0 ? .refused(reason) : .deferred(reason),
                originalRecipient: word(4), remoteHost: input[0] & 4 == 0 ? nil : word(5), lastAttempt: Int64(input[1]))
        ], arrival: -1, envelopeID: word(5), content: Array(pieces.last ?? []), isWhole: input[0] & 8 == 0)
    let plan = BouncePlan(
        reportingHost: word(1), postmaster: address, headerBytesMax: Int(input[1]) * 16, messageBytesMax: 1 << 10)
    guard case .send(let message) = plan.decide(failed, messageID: word(3), now: Int64.max) else { return }
    check(message)
}

private func check(_ message: BounceMessage) {
    var lineStart = 0
    var previous: UInt8 = 0
    for (index, byte) in message.bytes.enumerated() {
        precondition(byte != 0, "a NUL")
        precondition(previous != 0x0D || byte == 0x0A, "a CR alone")
        if byte == 0x0A {
            precondition(previous == 0x0D, "an LF alone")
            precondition(index - 1 - lineStart <= 998, "a line of \(index - 1 - lineStart) octets")
            lineStart = index + 1
        }
        previous = byte
    }
    precondition(lineStart == message.bytes.count, "no line end at the end")
    precondition(message.isEightBit || message.bytes.allSatisfy { $0 < 0x80 }, "8-bit, and does not say so")
}
