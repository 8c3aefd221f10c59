import Cluster
import Glibc
import Mail

/// What is wrong with a message's file.
package enum CopyDamage: Hashable, Sendable, CustomStringConvertible {
    /// Octets that are there, and those that the name tells, on disk.
    case size(Int, Int)
    /// What POP3 would send is not as long as the name tells.
    case wireSize(Int, Int)
    case checksum
    /// The disk does not give it.
    case unreadable(String)

    package var description: String {
        switch self {
        case .size(let found, let named): "\(found) octets instead of \(named)"
        case .wireSize(let found, let named): "\(found) octets as sent instead of \(named)"
        case .checksum: "another checksum"
        case .unreadable(let why): "unreadable: \(why)"
        }
    }
}

/// What a file's name promises of its bytes.
package struct CopyPromise: Hashable, Sendable {
    let diskOctets: Int
    let wireOctets: Int
    /// Nil for a name from before names told it: then only the sizes tell damage.
    let checksum: UInt64?

    /// Nil for a name that is not ours: what other tools write in names promises nothing.
    init?(_ name: UnsafeRawBufferPointer) {
        let length = MessageNameBytes.stemLength(of: name)
        guard let fields = MessageNameBytes.fields(in: name, from: length),
            fields.checksum != nil
                || MessageNameBytes.mintedSeconds(UnsafeRawBufferPointer(rebasing: name[..<length])) != nil
        else { return nil }
        (diskOctets, wireOctets, checksum) = (fields.diskOctets, fields.wireOctets, fields.checksum)
    }
}

/// How far a message is compared with what its name promises while it is read.
package enum CopyComparison: Sendable {
    /// It is taken as it is.
    case none
    /// Size and checksum: for who is given the message.
    case octets
    /// What they come to on the wire too: for who makes another copy of it, or mends this one.
    case all
}

/// Compares a file that passes by in pieces with what its name promises.
struct CopyCheck: Sendable {
    let promise: CopyPromise
    private let countsLines: Bool
    private var octets = 0
    private var size = WireSize()
    private var hash = RunningStableHash()

    init(_ promise: CopyPromise, _ comparison: CopyComparison = .all) {
        self.promise = promise
        countsLines = comparison == .all
    }

    /// Nil where there is nothing to compare.
    ///
    /// - Parameter path: ends with the file's name.
    init?(path: [UInt8], _ comparison: CopyComparison) {
        guard comparison != .none else { return nil }
        let start = path.lastIndex(of: UInt8(ascii: "/")).map { $0 + 1 } ?? 0
        let promise = path.withUnsafeBytes { CopyPromise(UnsafeRawBufferPointer(rebasing: $0[start...])) }
        guard let promise else { return nil }
        self.init(promise, comparison)
    }

    mutating func add(_ bytes: UnsafeRawBufferPointer) {
        octets += bytes.count
        if countsLines { size.add(bytes) }
        if promise.checksum != nil { hash.update(bytes) }
    }

    mutating func add(_ bytes: [UInt8]) { bytes.withUnsafeBytes { add($0) } }

    /// The same for a file that came in one piece.
    func damage(ofWhole bytes: UnsafeRawBufferPointer) -> CopyDamage? {
        var size = WireSize()
        if countsLines { size.add(bytes) }
        return damage(octets: bytes.count, size) { StableHash.xxh64(bytes) }
    }

    /// What is wrong with all that came; nil if it is what the name promises.
    var damage: CopyDamage? { damage(octets: octets, size) { hash.value } }

    private func damage(octets: Int, _ size: WireSize, _ hash: () -> UInt64) -> CopyDamage? {
        if octets != promise.diskOctets { return .size(octets, promise.diskOctets) }
        if countsLines, size.wireOctets != promise.wireOctets { return .wireSize(size.wireOctets, promise.wireOctets) }
        if let checksum = promise.checksum, hash() != checksum { return .checksum }
        return nil
    }
}

extension MaildirError {
    /// Whether what was written cannot be had any more, by the disk's word or the name's, rather than that it cannot be read now.
    package var isDamage: Bool {
        if case .damaged = self { return true }
        switch errorNumber {
        case EIO, EBADMSG, EUCLEAN: return true
        default: return false
        }
    }
}
