/// Chooses what stands between the parts of a multipart (RFC 2046 §5.1.1): `=_hauberk_<number>=`, with the smallest
/// number of which no line of any part begins like the delimiter. "=_" is never in quoted-printable.
enum MIMEBoundary {
    private static let start = Array("--=_hauberk_".utf8)
    /// Fewer digits than could overflow, and more than there can be lines.
    private static let digitsMax = 15

    static func absent(from bodies: [[UInt8]]) -> String {
        var taken: Set<Int> = []
        for body in bodies {
            var line = body.startIndex
            while line < body.endIndex {
                if let number = number(body[line...]) { taken.insert(number) }
                line = body[line...].firstIndex(of: 0x0A).map { $0 + 1 } ?? body.endIndex
            }
        }
        var number = 0
        while taken.contains(number) { number += 1 }
        return "=_hauberk_\(number)="
    }

    private static func number(_ line: ArraySlice<UInt8>) -> Int? {
        guard line.starts(with: start) else { return nil }
        let digits = line.dropFirst(start.count).prefix(digitsMax).prefix { (0x30...0x39).contains($0) }
        return Int(String(decoding: digits, as: UTF8.self))
    }
}
