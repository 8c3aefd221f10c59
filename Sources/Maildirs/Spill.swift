import CLinux
import Glibc
import Mail
import Synchronization

/// A message too large for memory while it arrives, or one that several recipients have as one file: in the first
/// recipient's `tmp/`. Other recipients' copies are made from it, or are the same file.
final class Spill: Sendable {
    let home: DeliveryFolder
    let name: String
    let file: OpenFile
    /// Where the message begins, behind the first recipient's header.
    let bodyOffset: Int
    private let core: StoreCore
    private let isNamed = Mutex(true)
    /// Of what was written so far.
    private let running: Mutex<RunningFileSums>
    private let progress = Mutex(Progress())
    /// Whether its content digest is the first recipient's alone.
    let countsRecipient: Bool
    private let finished = Mutex<FileSums?>(nil)

    init(
        core: StoreCore, home: DeliveryFolder, name: String, file: OpenFile, bodyOffset: Int, countsRecipient: Bool
    ) {
        self.core = core
        self.home = home
        self.name = name
        self.file = file
        self.bodyOffset = bodyOffset
        self.countsRecipient = countsRecipient
        running = Mutex(RunningFileSums(countsRecipient: countsRecipient))
    }

    /// A spill that nobody needs any more leaves nothing behind, and keeps no event loop waiting for that.
    deinit {
        guard isNamed.withLock({ $0 }) else { return }
        core.deliveries.submitOrRun { [home, name, file] in
            unlinkat(home.tmp.descriptor, name, 0)
            _ = file
        }
    }

    /// Writes what stands before the message.
    func begin(_ header: [UInt8]) throws(MaildirError) {
        try file.write(header, name: name)
        running.withLock { $0.add(header) }
    }

    func append(_ buffer: BodyBuffer) throws(MaildirError) {
        if case .fail(let number) = core.options.faults?.decide(.write, name) {
            throw .failed(operation: "write", path: name, errno: number)
        }
        try file.write(buffer.bytes, name: name)
        running.withLock { $0.add(buffer.bytes) }
        beginWriting(buffer.count)
    }

    private struct Progress {
        /// So much is in the file.
        var written = 0
        /// So much of it the kernel was asked to write to the disk.
        var begun = 0
    }

    /// The disk works while the message still comes in, or all of it would wait for the sync at the end. Whether it could be
    /// written, that sync tells.
    private func beginWriting(_ count: Int) {
        let range = progress.withLock { progress -> Range<Int>? in
            progress.written += count
            guard progress.written - progress.begun >= Self.writingBytesMin else { return nil }
            defer { progress.begun = progress.written }
            return progress.begun..<progress.written
        }
        guard let range else { return }
        _ = begin_writing(file.descriptor, Int64(bodyOffset + range.lowerBound), Int64(range.count))
    }

    private static let writingBytesMin = 1 << 20

    /// Of the whole file: nothing is appended any more.
    func finishSums() -> FileSums {
        finished.withLock { finished in
            if let finished { return finished }
            let sums = running.withLock { running in
                var whole = RunningFileSums()
                swap(&running, &whole)
                return whole.finish()
            }
            finished = sums
            return sums
        }
    }

    /// The delivery removes the name itself from now on.
    func giveUpName() { isNamed.withLock { $0 = false } }

    /// Copies the message to the end of `copy`, in pieces, and adds them to the copy's sums.
    func copyBody(
        length: Int, to copy: OpenFile, name: String, _ sums: inout RunningFileSums
    ) throws(MaildirError) {
        let piece = UnsafeMutableRawBufferPointer.allocate(
            byteCount: min(max(length, 1), Self.pieceBytes), alignment: 16)
        defer { piece.deallocate() }
        var done = 0
        while done < length {
            let wanted = UnsafeMutableRawBufferPointer(rebasing: piece[..<min(piece.count, length - done)])
            let count = try file.read(into: wanted, at: bodyOffset + done, name: self.name)
            guard count > 0 else { throw .failed(operation: "read", path: self.name, errno: EIO) }
            let bytes = UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(piece)[..<count])
            try copy.write(bytes, name: name)
            sums.add(bytes)
            done += count
        }
    }

    private static let pieceBytes = 256 << 10
}
