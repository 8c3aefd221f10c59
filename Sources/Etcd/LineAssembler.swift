/// Cuts a stream of octets into lines, and keeps at most one unfinished line.
struct LineAssembler {
    struct LineTooLong: Error {}

    private let lineBytesMax: Int
    private var buffer: [UInt8] = []
    /// Where the first line that was not taken begins.
    private var start = 0
    /// Up to where there is no line end.
    private var searched = 0

    init(lineBytesMax: Int) {
        self.lineBytesMax = lineBytesMax
    }

    mutating func append(_ bytes: some Sequence<UInt8>) {
        buffer.removeFirst(start)
        searched -= start
        start = 0
        buffer.append(contentsOf: bytes)
    }

    /// What stands behind the last line end; nil if nothing does. To be asked for when nothing more comes.
    mutating func rest() -> [UInt8]? {
        defer { (buffer, start, searched) = ([], 0, 0) }
        return start < buffer.count ? Array(buffer[start...]) : nil
    }

    /// The next whole line without its LF; nil if more octets are needed.
    mutating func next() throws(LineTooLong) -> [UInt8]? {
        guard let end = buffer[searched...].firstIndex(of: UInt8(ascii: "\n")) else {
            searched = buffer.count
            if buffer.count - start > lineBytesMax { throw LineTooLong() }
            return nil
        }
        guard end - start <= lineBytesMax else { throw LineTooLong() }
        defer {
            start = end + 1
            searched = start
        }
        return Array(buffer[start..<end])
    }
}
