package import Glibc

/// A small file that is there whole or not at all, whatever happens meanwhile.
package enum DurableFile {
    /// Writes the text, and returns once the file and its folder's entry are on disk.
    ///
    /// - Parameter replacing: whether a file that is there already gives way; otherwise it is an error (EEXIST).
    package static func write(
        _ text: String, to path: String, mode: mode_t, replacing: Bool
    ) throws(DurableFileError) {
        // Processes of two hosts, or containers, may have the same number.
        let temporary = "\(path).\(getpid()).\(UInt64.random(in: .min ... .max)).tmp"
        do throws(DurableFileError) {
            try fill(temporary, with: Array(text.utf8), mode: mode)
            if replacing {
                try check(rename(temporary, path), "rename", path)
            } else {
                // Unlike rename, link never takes the place of another file.
                try check(link(temporary, path), "create", path)
                try check(unlink(temporary), "remove", temporary)
            }
        } catch {
            unlink(temporary)
            throw error
        }
        try syncFolder(of: path)
    }

    /// The whole file; nil if there is none. One of more than `bytesMax` octets is an error (EFBIG).
    package static func read(_ path: String, bytesMax: Int) throws(DurableFileError) -> [UInt8]? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        if descriptor < 0, errno == ENOENT { return nil }
        try check(descriptor, "open", path)
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 65_536)
        while bytes.count <= bytesMax {
            let count = Glibc.read(descriptor, &chunk, chunk.count)
            if count < 0, errno == EINTR { continue }
            try check(Int32(clamping: count), "read", path)
            if count == 0 { return bytes }
            bytes += chunk[..<count]
        }
        throw DurableFileError(path: path, doing: "read", code: EFBIG)
    }

    package static func remove(_ path: String) {
        unlink(path)
    }

    private static func fill(_ path: String, with bytes: [UInt8], mode: mode_t) throws(DurableFileError) {
        let descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode)
        try check(descriptor, "create", path)
        defer { close(descriptor) }
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            try check(Int32(clamping: count), "write", path)
            rest = rest.dropFirst(count)
        }
        try check(fsync(descriptor), "fsync", path)
    }

    private static func syncFolder(of path: String) throws(DurableFileError) {
        let folder = path.lastIndex(of: "/").map { $0 == path.startIndex ? "/" : String(path[..<$0]) } ?? "."
        let descriptor = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        try check(descriptor, "open", folder)
        defer { close(descriptor) }
        try check(fsync(descriptor), "fsync", folder)
    }

    private static func check(_ result: Int32, _ doing: String, _ path: String) throws(DurableFileError) {
        guard result >= 0 else { throw DurableFileError(path: path, doing: doing, code: errno) }
    }
}

/// What the system refused to do with a file.
package struct DurableFileError: Error, Hashable, Sendable, CustomStringConvertible {
    package let path: String
    package let doing: String
    /// The errno.
    package let code: Int32

    package init(path: String, doing: String, code: Int32) {
        self.path = path
        self.doing = doing
        self.code = code
    }

    package var description: String { "\(path): \(doing): \(String(cString: strerror(code)))" }
}
