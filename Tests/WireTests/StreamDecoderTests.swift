import Testing

@testable import Wire

@Suite struct StreamDecoderTests {
    /// All events of `input`, given in pieces of `size` octets; data as what it came to.
    private func events(_ input: [UInt8], inPiecesOf size: Int) -> [String] {
        var decoder = StreamDecoder()
        var unread: [UInt8] = []
        var found: [String] = []
        var data: (stream: UInt32, bytes: [UInt8])?
        var note: [UInt8] = []
        func endData() {
            if let data { found.append("data \(data.stream) \(data.bytes)") }
            data = nil
        }
        for start in stride(from: 0, to: input.count, by: size) {
            unread += input[start..<min(input.count, start + size)]
            var goesOn = true
            while goesOn {
                let (consumed, event) = unread.withUnsafeBytes { decoder.next($0) }
                unread.removeFirst(consumed)
                switch event {
                case .needBytes: goesOn = false
                case .data(let stream, let count):
                    if data?.stream != stream || consumed > 0 { endData() }
                    data = (stream, (data?.bytes ?? []) + unread[..<count])
                    unread.removeFirst(count)
                case .note(let stream, let count, let left):
                    endData()
                    note += unread[..<count]
                    unread.removeFirst(count)
                    guard left == 0 else { break }
                    found.append("note \(stream) \(note)")
                    note = []
                case .violation:
                    found.append("violation")
                    return found
                default:
                    endData()
                    found.append("\(event)")
                }
            }
        }
        endData()
        return found
    }

    private func frame(_ kind: UInt8, _ stream: UInt32, count: Int, _ bytes: [UInt8] = []) -> [UInt8] {
        [kind, UInt8(count >> 16), UInt8(count >> 8 & 255), UInt8(count & 255)]
            + [24, 16, 8, 0].map { UInt8(stream >> $0 & 255) } + bytes
    }

    @Test("Frames are told as they were sent, whatever pieces they come in")
    func pieces() {
        let input =
            frame(1, 7, count: 0) + frame(2, 7, count: 3, [1, 2, 3])
            + frame(6, 7, count: 12, Array(repeating: 6, count: 12))
            + frame(2, 0xFFFF_FFFE, count: 300, Array(repeating: 9, count: 300))
            + frame(3, 7, count: 0xFFFFFF) + frame(2, 7, count: 1, [4]) + frame(4, 7, count: 0) + frame(5, 8, count: 0)
        let expected = [
            "open(7)", "data 7 [1, 2, 3]", "note 7 \(Array(repeating: UInt8(6), count: 12))",
            "data 4294967294 \(Array(repeating: UInt8(9), count: 300))",
            "credit(7, count: 16777215)", "data 7 [4]", "end(7)", "close(8)",
        ]
        for size in [1, 2, 3, 5, 7, 8, 9, 11, 64, 1000] { #expect(events(input, inPiecesOf: size) == expected) }
    }

    @Test("What is made is what is read", arguments: [StreamFrame.Kind.open, .data, .credit, .end, .close, .note])
    func head(kind: StreamFrame.Kind) {
        let head = StreamFrame.head(kind, 0x0102_0304, length: 0x05_0607)
        #expect(withUnsafeBytes(of: head.bigEndian) { Array($0) } == [kind.rawValue, 5, 6, 7, 1, 2, 3, 4])
    }

    @Test("What is no frame is said to be none", arguments: [0, 7, 13, 65, 255] as [UInt8])
    func unknown(kind: UInt8) {
        #expect(
            events(frame(1, 1, count: 0) + frame(kind, 1, count: 1, [1]), inPiecesOf: 3) == ["open(1)", "violation"])
    }

    @Test("Frames that carry nothing, and might come without end, are none", arguments: [2, 3, 6] as [UInt8])
    func empty(kind: UInt8) {
        #expect(events(frame(kind, 1, count: 0), inPiecesOf: 8) == ["violation"])
    }

    @Test("A note longer than one may be is none, and nothing of it is kept")
    func longNote() {
        let long = StreamFrame.noteBytesMax + 1
        #expect(events(frame(6, 1, count: long, Array(repeating: 1, count: long)), inPiecesOf: 1000) == ["violation"])
        #expect(events(frame(6, 1, count: long - 1), inPiecesOf: 8) == [])
    }
}
