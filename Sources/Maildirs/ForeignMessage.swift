import FileTimes
import Glibc

/// A message whose name does not tell its size: a foreign tool delivered it.
struct ForeignMessage {
    let mailbox: OpenFile
    let identity: [UInt8]
    /// Below the mailbox's folder.
    let path: [UInt8]
    let core: StoreCore

    enum Size {
        /// Octets as POP3 sends them.
        case measured(Int, FileStamp, isYoung: Bool)
        /// It cannot be read to its end: its size on disk.
        case guessed(Int)
        /// No file, or not to be read by us.
        case none
        case gone
    }

    private static let pieceBytes = 64 << 10
    /// What is wrong with this host or the store rather than with one file.
    private static let general = [EMFILE, ENFILE, ENOMEM, ESTALE]

    /// - Parameter known: the octets that this file had when it looked the same, if they are known.
    func size(moved: MovedMessages, known: (FileStamp) -> Int?) throws(MaildirError) -> Size {
        do throws(MaildirError) {
            guard let file = try moved.open(path, identity: identity, in: mailbox, core) else { return .gone }
            let status = try file.status()
            guard status.st_mode & S_IFMT == S_IFREG else { return .none }
            let stamp = FileStamp(status)
            var octets = known(stamp)
            if octets == nil { octets = try countIfReadable(file) }
            guard let octets else { return .guessed(Int(stamp.size)) }
            let touched = max(stamp.modified, FileTime(status.st_ctim))
            return .measured(octets, stamp, isYoung: touched >= FileTime.now().minus(MeasuredFile.youth))
        } catch {
            if let number = error.errorNumber, !Self.general.contains(number) { return .none }
            throw error
        }
    }

    /// Nil if the disk does not give it: only whoever reads this message needs to know.
    private func countIfReadable(_ file: OpenFile) throws(MaildirError) -> Int? {
        do throws(MaildirError) {
            return try count(file)
        } catch {
            if error.errorNumber == ENOMEM { throw error }
            return nil
        }
    }

    private func count(_ file: OpenFile) throws(MaildirError) -> Int {
        let name = String(decoding: path, as: UTF8.self)
        try core.options.faults?.check(.read, name)
        let piece = UnsafeMutableRawBufferPointer.allocate(byteCount: Self.pieceBytes, alignment: 16)
        defer { piece.deallocate() }
        var size = WireSize()
        while true {
            let count = try file.read(into: piece, at: size.diskOctets, name: name)
            if count == 0 { return size.wireOctets }
            size.add(UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(piece)[..<count]))
        }
    }
}
