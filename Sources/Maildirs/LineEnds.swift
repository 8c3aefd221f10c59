import Glibc

private let lineFeed = UInt8(ascii: "\n")
private let carriageReturn = UInt8(ascii: "\r")

/// Turns a message's CRLF into LF, piece by piece, and counts it both ways. CR CRLF stays as it is: a CRLF on disk is sent as
/// one, so without a CR of it the message would be another.
struct LineEndDecoder {
    /// A CR that ended the last piece: dropped if LF follows, else kept.
    private var holdsCarriageReturn = false
    /// Whether another CR is before it: then it is kept in any case.
    private var holdsSecond = false
    private(set) var size = WireSize()

    /// Puts `wire` behind what `buffer` holds, with LF line ends.
    mutating func append(_ wire: UnsafeRawBufferPointer, to buffer: BodyBuffer) {
        guard let start = wire.baseAddress, wire.count > 0 else { return }
        let isBehindCR = holdsCarriageReturn
        let held = isBehindCR && (holdsSecond || wire[0] != lineFeed)
        holdsCarriageReturn = wire[wire.count - 1] == carriageReturn
        holdsSecond = wire.count > 1 ? wire[wire.count - 2] == carriageReturn : isBehindCR
        let end = start + wire.count - (holdsCarriageReturn ? 1 : 0)
        buffer.append(room: wire.count + 1) { output in
            if held {
                output.storeBytes(of: carriageReturn, as: UInt8.self)
                size.add(UnsafeRawBufferPointer(start: output, count: 1), endsLine: false)
            }
            return (held ? 1 : 0) + convert(from: start, to: end, isBehindCR, output + (held ? 1 : 0))
        }
    }

    /// Nothing more follows: a CR at the very end is part of the message.
    mutating func finish(_ buffer: BodyBuffer) {
        guard holdsCarriageReturn else { return }
        holdsCarriageReturn = false
        buffer.append(room: 1) { output in
            output.storeBytes(of: carriageReturn, as: UInt8.self)
            size.add(UnsafeRawBufferPointer(start: output, count: 1))
            return 1
        }
    }

    /// - Parameter isBehindCR: whether a CR is before `start`.
    private mutating func convert(
        from start: UnsafeRawPointer, to end: UnsafeRawPointer, _ isBehindCR: Bool, _ output: UnsafeMutableRawPointer
    ) -> Int {
        var position = start
        var written = 0
        while position < end {
            let found = memchr(position, Int32(lineFeed), end - position).map { UnsafeRawPointer($0) }
            var length = (found ?? end) - position
            if found != nil, length > 0, position.load(fromByteOffset: length - 1, as: UInt8.self) == carriageReturn {
                let isSecond =
                    length > 1
                    ? position.load(fromByteOffset: length - 2, as: UInt8.self) == carriageReturn
                    : isBehindCR && position == start
                if !isSecond { length -= 1 }
            }
            memcpy(output + written, position, length)
            written += length
            size.add(UnsafeRawBufferPointer(start: output + written - length, count: length), endsLine: found != nil)
            guard let found else { break }
            output.storeBytes(of: lineFeed, toByteOffset: written, as: UInt8.self)
            written += 1
            position = found + 1
        }
        return written
    }
}

/// Counts what POP3 sends for bytes on disk, before dot-stuffing (RFC 1939 §11): LF becomes CRLF, a CRLF stays as it is,
/// and a last line without an end gets CRLF.
struct WireSize {
    /// Bytes on disk.
    private(set) var diskOctets = 0
    private var addedCarriageReturns = 0
    private var last = lineFeed

    /// Octets as sent, CRLF line ends.
    var wireOctets: Int { diskOctets + addedCarriageReturns + (last == lineFeed ? 0 : 2) }

    mutating func add(_ disk: UnsafeRawBufferPointer) {
        guard var position = disk.baseAddress else { return }
        let end = position + disk.count
        while position < end {
            let found = memchr(position, Int32(lineFeed), end - position).map { UnsafeRawPointer($0) }
            let lineEnd = found ?? end
            add(UnsafeRawBufferPointer(start: position, count: lineEnd - position), endsLine: found != nil)
            position = lineEnd + 1
        }
    }

    /// The same for bytes without LF, and the LF behind them if that `endsLine`.
    mutating func add(_ text: UnsafeRawBufferPointer, endsLine: Bool) {
        if let byte = text.last { last = byte }
        diskOctets += text.count
        guard endsLine else { return }
        if last != carriageReturn { addedCarriageReturns += 1 }
        diskOctets += 1
        last = lineFeed
    }

    mutating func add(_ disk: [UInt8]) { disk.withUnsafeBytes { add($0) } }
}
