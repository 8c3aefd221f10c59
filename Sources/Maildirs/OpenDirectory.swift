import Glibc

/// A directory being read, freshly opened so that nothing remembered from an earlier reading is shown.
final class OpenDirectory {
    struct Entry {
        /// Valid until the next entry is asked for.
        let name: UnsafeRawBufferPointer
        let kind: UInt8

        /// Whether it can be a message: file systems that do not tell the kind of an entry say so when it is opened.
        var mayBeFile: Bool { kind == UInt8(DT_REG) || kind == UInt8(DT_UNKNOWN) }
        var mayBeDirectory: Bool { kind == UInt8(DT_DIR) || kind == UInt8(DT_UNKNOWN) }
    }

    private let stream: OpaquePointer
    private let path: String
    let descriptor: Int32

    private static let nameOffset = MemoryLayout<dirent>.offset(of: \.d_name) ?? 19

    init(_ path: String, in parent: OpenFile) throws(MaildirError) {
        let flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW
        descriptor = withoutTrace(flags) { openat(parent.descriptor, path, $0) }
        guard descriptor >= 0 else { throw .failed("open", path) }
        guard let stream = fdopendir(descriptor) else {
            let error = MaildirError.failed("fdopendir", path)
            close(descriptor)
            throw error
        }
        self.stream = stream
        self.path = path
    }

    deinit { closedir(stream) }

    /// The next entry but "." and ".."; nil at the end.
    func next() throws(MaildirError) -> Entry? {
        while true {
            errno = 0
            guard let entry = readdir(stream) else {
                // A directory that was removed while it was read has no more entries.
                if errno == 0 || errno == ENOENT { return nil }
                throw .failed("readdir", path)
            }
            let start = UnsafeRawPointer(entry) + Self.nameOffset
            let length = strlen(start.assumingMemoryBound(to: CChar.self))
            let name = UnsafeRawBufferPointer(start: start, count: length)
            if name.first == UInt8(ascii: "."), length == 1 || (length == 2 && name[1] == UInt8(ascii: ".")) {
                continue
            }
            return Entry(name: name, kind: entry.pointee.d_type)
        }
    }
}
