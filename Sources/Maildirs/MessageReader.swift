import Glibc
import Synchronization

/// Reads one message from its beginning to its end, in pieces, on the store's reading threads.
///
/// A message stays readable while its reader lives, also if it is deleted meanwhile (on a local file system).
package final class MessageReader: Sendable {
    package typealias Piece = Result<[UInt8], MaildirError>

    /// The largest piece, in bytes.
    package static let pieceBytesMax = 64 << 10

    /// Bytes on disk, with LF line ends (or whatever a foreign tool wrote).
    package let size: Int

    private struct State {
        var file: OpenFile?
        var offset = 0
        /// Read when the message was opened, so that a small one costs one trip to a worker.
        var ahead: [UInt8]
        /// What was read so far, compared with the name; nil if that promises nothing, or nobody asked.
        var check: CopyCheck?
        var damage: CopyDamage?

        init(file: OpenFile, size: Int, ahead: [UInt8], check: CopyCheck?) {
            self.file = file
            self.ahead = ahead
            if ahead.count < size {
                self.check = check
                self.check?.add(ahead)
            } else {
                damage = ahead.withUnsafeBytes { check?.damage(ofWhole: $0) }
            }
        }

        /// A piece was read. At the end it shows whether the file is damaged: then the last piece is kept back, so that nobody
        /// takes what came for a whole message.
        mutating func add(_ piece: [UInt8], through offset: Int, of size: Int) {
            guard check != nil else { return }
            check?.add(piece)
            guard offset >= size else { return }
            damage = check?.damage
            check = nil
        }
    }

    private let core: StoreCore
    /// For errors.
    private let path: [UInt8]
    private var name: String { String(decoding: path, as: UTF8.self) }
    private let state: Mutex<State>

    /// Nil if it is not a file.
    ///
    /// - Parameter check: compares the bytes, if they are to be compared.
    init?(file: OpenFile, path: [UInt8], check: CopyCheck?, core: StoreCore) throws(MaildirError) {
        let status = try file.status()
        guard status.st_mode & S_IFMT == S_IFREG else { return nil }
        size = Int(status.st_size)
        self.core = core
        self.path = path
        let name = String(decoding: path, as: UTF8.self)
        try core.options.faults?.check(.read, name)
        let ahead = try Self.piece(of: file, name, at: 0, size: size)
        state = Mutex(State(file: file, size: size, ahead: ahead, check: check))
    }

    /// Nil if it is not a file, not in memory, or not as long as it should be.
    ///
    /// - Parameter promised: how long its name says it is; nil if that says nothing.
    init?(cached file: OpenFile, promised: Int?, path: [UInt8], check: CopyCheck?, core: StoreCore) {
        let ahead: [UInt8]?
        if let promised, promised < Self.pieceBytesMax {
            size = promised
            ahead = core.cachedReads.whole(of: file, count: promised)
        } else {
            guard let status = try? file.status(), status.st_mode & S_IFMT == S_IFREG else { return nil }
            size = Int(status.st_size)
            ahead = core.cachedReads.beginning(of: file, count: min(Self.pieceBytesMax, size))
        }
        guard let ahead else { return nil }
        self.core = core
        self.path = path
        state = Mutex(State(file: file, size: size, ahead: ahead, check: check))
    }

    /// What is wrong with the file, once a read has shown that: the last one of a reader that was asked to compare it, which for
    /// a message of no more than a piece was at its opening, or one that the disk refused.
    package var damage: CopyDamage? { state.withLock { $0.damage } }

    /// The next piece if nothing has to be read for it, empty at the end.
    package func ready() -> Piece? {
        state.withLock { state in
            let ahead = state.ahead
            state.ahead = []
            state.offset += ahead.count
            if let damage = state.damage { return .failure(.damaged(damage, path: name)) }
            return !ahead.isEmpty || state.file == nil || state.offset >= size ? .success(ahead) : nil
        }
    }

    /// Tells `then` the next piece, empty at the end. One read at a time. `then` is called on a worker thread, or before
    /// this returns if nothing has to be read.
    ///
    /// - Parameter bytesMax: less than a whole piece for a reader who is slow: what waits for him is memory.
    package func read(bytesMax: Int = pieceBytesMax, then: @escaping @Sendable (Piece) -> Void) {
        if let ready = ready() { return then(ready) }
        let (file, offset) = state.withLock { ($0.file, $0.offset) }
        guard let file else { return then(.success([])) }
        core.read(then: then) { [self] () throws(MaildirError) in
            let piece = try nextPiece(of: file, at: offset, size: min(size, offset + max(1, bytesMax)))
            let damage = state.withLock { state in
                state.offset += piece.count
                state.add(piece, through: state.offset, of: size)
                return state.damage
            }
            if let damage { throw .damaged(damage, path: name) }
            return piece
        }
    }

    private func nextPiece(of file: OpenFile, at offset: Int, size: Int) throws(MaildirError) -> [UInt8] {
        do throws(MaildirError) {
            return try Self.piece(of: file, name, at: offset, size: size)
        } catch {
            if error.isDamage { state.withLock { $0.damage = .unreadable("\(error)") } }
            throw error
        }
    }

    /// Lets go of the file now rather than with the last reference. What is read after it is empty.
    package func close() {
        state.withLock { state in
            state.file = nil
            state.ahead = []
        }
    }

    private static func piece(
        of file: OpenFile, _ name: String, at offset: Int, size: Int
    ) throws(MaildirError) -> [UInt8] {
        let wanted = min(pieceBytesMax, max(0, size - offset))
        var failure: MaildirError?
        let piece = [UInt8](unsafeUninitializedCapacity: wanted) { buffer, count in
            do throws(MaildirError) {
                count = try file.read(into: UnsafeMutableRawBufferPointer(buffer), at: offset, name: name)
            } catch {
                failure = error
            }
        }
        if let failure { throw failure }
        return piece
    }
}
