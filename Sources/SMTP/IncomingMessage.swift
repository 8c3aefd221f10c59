import Mail

/// A message while its bytes come in: decoded, counted, watched.
struct IncomingMessage: Sendable {
    /// Whether the driver is writing it: it said yes to `startMessage` and has heard of no end.
    var isOpen = false
    /// Why it will be refused; from then on its bytes are thrown away.
    var fault: Reason?
    private(set) var byteCount = 0
    private(set) var discardedCount = 0
    private(set) var scanner = HeaderScanner()
    private var decoder: BodyDecoder
    private let limits: SMTPLimits
    private let isCopy: Bool

    /// - Parameter isCopy: whether it is taken as it is, whatever it holds: other tools write into mailboxes too, and
    ///   what they wrote must reach every copy.
    init(framing: BodyDecoder.Framing, limits: SMTPLimits, isCopy: Bool = false) {
        decoder = BodyDecoder(framing: isCopy ? .bytes : framing, lineBytesMax: limits.textLineBytesMax)
        self.limits = limits
        self.isCopy = isCopy
    }

    var summary: SMTPMessageSummary {
        SMTPMessageSummary(
            byteCount: byteCount, appendLineEnd: !isCopy && decoder.endsInsideLine && byteCount > 0,
            header: scanner.findings)
    }

    /// Takes the next bytes off the wire; the text found is empty once there is a fault.
    mutating func take(_ bytes: UnsafeRawBufferPointer) -> BodyDecoder.Found {
        var found = decoder.decode(bytes)
        if fault == nil {
            inspect(bytes.slice(found.text))
        }
        if fault != nil {
            discardedCount += found.consumed
            found.text = found.consumed..<found.consumed
        }
        return found
    }

    mutating func endOfChunks() {
        decoder.endOfChunks()
        if fault == nil, decoder.fault != nil { fault = .bareLineEnd }
    }

    private mutating func inspect(_ text: UnsafeRawBufferPointer) {
        switch decoder.fault {
        case .bareLineEnd: fault = .bareLineEnd
        case .lineTooLong: fault = .textLineTooLong
        case nil: break
        }
        guard fault == nil, !text.isEmpty else { return }
        byteCount += text.count
        if byteCount > limits.messageBytesMax {
            fault = .messageTooBig
            return
        }
        guard !isCopy, !scanner.isFinished else { return }
        scanner.scan(text)
        if scanner.findings.receivedCount > limits.receivedMax { fault = .routingLoop }
    }
}
