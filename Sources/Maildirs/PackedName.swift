import Mail

/// A message's file name as listings keep it: the stem, and then in a name of our own form the sizes and sums as numbers.
enum PackedName {
    enum Form: UInt8, Sendable {
        /// As it is.
        case text
        /// Behind the stem: octets on disk (5 bytes) and checksum (8); the wire's octets are known from elsewhere.
        case checksum
        /// The same, and the content's digest (16).
        case digest

        fileprivate var packedBytes: Int {
            switch self {
            case .text: 0
            case .checksum: 13
            case .digest: 29
            }
        }
    }

    /// Puts a name behind what `output` holds.
    static func append(_ name: UnsafeRawBufferPointer, stemLength: Int, to output: inout [UInt8]) -> Form {
        guard let fields = MessageNameBytes.fields(in: name, from: stemLength), let checksum = fields.checksum else {
            output.append(contentsOf: name)
            return .text
        }
        let digest = fields.digest(in: name)
        // Numbers with zeros in front would not come out as they went in.
        let length =
            sizesLength(fields) + checksumLength + (digest == nil ? 0 : digestLength)
        guard stemLength + length == fields.end else {
            output.append(contentsOf: name)
            return .text
        }
        output.append(contentsOf: name[..<stemLength])
        append(UInt64(fields.diskOctets), bytes: 5, to: &output)
        append(checksum, bytes: 8, to: &output)
        if let digest {
            append(digest.high, bytes: 8, to: &output)
            append(digest.low, bytes: 8, to: &output)
        }
        output.append(contentsOf: name[fields.end...])
        return digest == nil ? .checksum : .digest
    }

    private static let checksumLength = ",C=".utf8.count + 16
    private static let digestLength = ",D=".utf8.count + ContentDigest.textLength

    private static func sizesLength(_ fields: MessageNameBytes.Fields) -> Int {
        2 * ",S=".utf8.count + digits(fields.diskOctets) + digits(fields.wireOctets)
    }

    private static func digits(_ number: Int) -> Int {
        var (count, rest) = (1, number / 10)
        while rest > 0 { (count, rest) = (count + 1, rest / 10) }
        return count
    }

    /// Puts the file name of a stored one behind what `name` holds.
    static func appendUnpacked(
        _ stored: ArraySlice<UInt8>, stemLength: Int, _ form: Form, wireOctets: Int, to name: inout [UInt8]
    ) {
        if form == .text { return name.append(contentsOf: stored) }
        name.append(contentsOf: stored.prefix(stemLength))
        let packed = stored.dropFirst(stemLength)
        let digest = ContentDigest(
            high: number(packed.dropFirst(13).prefix(8)), low: number(packed.dropFirst(21).prefix(8)))
        MessageFileName.appendFields(
            diskOctets: Int(number(packed.prefix(5))), wireOctets: wireOctets,
            checksum: number(packed.dropFirst(5).prefix(8)), digest: form == .digest ? digest : nil, to: &name)
        name.append(contentsOf: packed.dropFirst(form.packedBytes))
    }

    /// The octets on disk that a stored name tells, unless it is as it was.
    static func diskOctets(_ stored: ArraySlice<UInt8>, stemLength: Int, _ form: Form) -> Int? {
        form == .text ? nil : Int(number(stored.dropFirst(stemLength).prefix(5)))
    }

    private static func append(_ value: UInt64, bytes count: Int, to bytes: inout [UInt8]) {
        for place in 0..<count { bytes.append(UInt8(truncatingIfNeeded: value >> UInt64(8 * place))) }
    }

    /// The least byte first.
    private static func number(_ bytes: ArraySlice<UInt8>) -> UInt64 {
        var number: UInt64 = 0
        for (place, byte) in bytes.enumerated() { number |= UInt64(byte) << UInt64(8 * place) }
        return number
    }
}
