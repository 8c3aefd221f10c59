import Membership

/// Times and sizes from any text: what is taken is written as a text that gives it again.
func fuzzQuantities(_ input: UnsafeRawBufferPointer) {
    let text = String(decoding: input, as: UTF8.self)
    if let duration = DurationText.duration(text) {
        precondition(duration >= .zero, "\(text) is a negative time")
        precondition(DurationText.duration(DurationText.text(duration)) == duration, "\(text) came back otherwise")
    }
    if let bytes = ByteSize.bytes(text) {
        precondition(bytes >= 0, "\(text) is a negative size")
        precondition(ByteSize.bytes(ByteSize.text(bytes)) == bytes, "\(text) came back otherwise")
    }
}
