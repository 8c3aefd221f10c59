import Glibc
import Mail
import Synchronization

/// A message too large for memory, in the first recipient's `tmp/` while it arrives; other recipients' copies are made
/// from it.
final class Spill: Sendable {
    let home: DeliveryFolder
    let name: String
    let file: OpenFile
    /// Where the message begins, behind the first recipient's header.
    let bodyOffset: Int
    private let core: StoreCore
    private let isNamed = Mutex(true)

    init(core: StoreCore, home: DeliveryFolder, name: String, file: OpenFile, bodyOffset: Int) {
        self.core = core
        self.home = home
        self.name = name
        self.file = file
        self.bodyOffset = bodyOffset
    }

    /// A spill that nobody needs any more leaves nothing behind, and keeps no event loop waiting for that.
    deinit {
        guard isNamed.withLock({ $0 }) else { return }
        core.deliveries.submitOrRun { [home, name, file] in
            unlinkat(home.tmp.descriptor, name, 0)
            _ = file
        }
    }

    func append(_ buffer: BodyBuffer) throws(MaildirError) {
        if case .fail(let number) = core.options.faults?.decide(.write, name) {
            throw .failed(operation: "write", path: name, errno: number)
        }
        try file.write(buffer.bytes, name: name)
    }

    /// The delivery removes the name itself from now on.
    func giveUpName() { isNamed.withLock { $0 = false } }

    /// Copies the message to the end of `copy`, in pieces.
    func copyBody(length: Int, to copy: OpenFile, name: String) throws(MaildirError) {
        let piece = UnsafeMutableRawBufferPointer.allocate(
            byteCount: min(max(length, 1), Self.pieceBytes), alignment: 16)
        defer { piece.deallocate() }
        var done = 0
        while done < length {
            let wanted = UnsafeMutableRawBufferPointer(rebasing: piece[..<min(piece.count, length - done)])
            let count = try file.read(into: wanted, at: bodyOffset + done, name: self.name)
            guard count > 0 else { throw .failed(operation: "read", path: self.name, errno: EIO) }
            try copy.write(UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(piece)[..<count]), name: name)
            done += count
        }
    }

    private static let pieceBytes = 256 << 10
}
