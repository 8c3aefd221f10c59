import Glibc
import Synchronization

/// A message whose name does not tell its size: a foreign tool delivered it.
struct ForeignMessage {
    let mailbox: OpenFile
    let stem: [UInt8]
    /// Below the mailbox's folder.
    let path: [UInt8]

    private static let pieceBytes = 256 << 10

    /// Octets as POP3 sends them; nil if it is gone, no file, or not ours to read.
    func octets(_ core: StoreCore) throws(MaildirError) -> Int? {
        do throws(MaildirError) {
            guard let file = try MessageSearch(mailbox: mailbox, stem: stem).open(path) else { return nil }
            return try octets(of: file, core.sizes)
        } catch {
            guard let number = error.errorNumber, [EACCES, EPERM, ELOOP, ENXIO].contains(number) else { throw error }
            core.oddNames.wrappingAdd(1, ordering: .relaxed)
            return nil
        }
    }

    private func octets(of file: OpenFile, _ sizes: ForeignSizes) throws(MaildirError) -> Int? {
        let status = try file.status()
        guard status.st_mode & S_IFMT == S_IFREG else { return nil }
        let key = ForeignSizes.Key(
            stem: stem, inode: UInt64(status.st_ino), size: Int64(status.st_size), modified: FileTime(status.st_mtim))
        if let known = sizes.find(key) { return known }
        let octets = try count(file)
        sizes.keep(octets, for: key)
        return octets
    }

    private func count(_ file: OpenFile) throws(MaildirError) -> Int {
        let piece = UnsafeMutableRawBufferPointer.allocate(byteCount: Self.pieceBytes, alignment: 16)
        defer { piece.deallocate() }
        var size = WireSize()
        while true {
            let count = try file.read(into: piece, at: size.diskOctets, name: String(decoding: path, as: UTF8.self))
            if count == 0 { return size.wireOctets }
            size.add(UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(piece)[..<count]))
        }
    }
}

/// Opens a message though another tool moves or flags it meanwhile.
struct MessageSearch {
    let mailbox: OpenFile
    let stem: [UInt8]

    /// How often a file may move away between finding and opening it.
    private static let movesMax = 8

    /// The message at `path`, or wherever it is now; nil if it is in neither `new/` nor `cur/`.
    func open(_ path: [UInt8]) throws(MaildirError) -> OpenFile? {
        var path = path
        var misses = 0
        for _ in 0..<Self.movesMax {
            let file = try ifThere { () throws(MaildirError) in
                try withPath(path) { pointer throws(MaildirError) in
                    try OpenFile.open(pointer, in: mailbox.descriptor)
                }
            }
            if let file { return file }
            // It may have moved while one directory was read and not yet the other: only the second miss is final.
            guard let found = try find() else {
                misses += 1
                if misses == 2 { return nil }
                continue
            }
            path = found
        }
        return nil
    }

    /// Where it is now: `new/NAME` or `cur/NAME`.
    func find() throws(MaildirError) -> [UInt8]? {
        for part in ["new", "cur"] {
            if let name = try StemSearch.name(of: stem, in: part, of: mailbox) { return Array("\(part)/".utf8) + name }
        }
        return nil
    }
}
