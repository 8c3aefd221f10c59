import Glibc

func errorText(_ code: Int32) -> String { String(cString: strerror(code)) }

/// A small file that is there whole or not at all, whatever happens meanwhile.
enum DurableFile {
    static func write(_ text: String, to path: String, mode: mode_t, replacing: Bool) throws(CertificateError) {
        let temporary = "\(path).\(getpid()).tmp"
        do throws(CertificateError) {
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

    static func remove(_ path: String) {
        unlink(path)
    }

    private static func fill(_ path: String, with bytes: [UInt8], mode: mode_t) throws(CertificateError) {
        // What a crashed process with our number left.
        unlink(path)
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

    private static func syncFolder(of path: String) throws(CertificateError) {
        let folder = path.lastIndex(of: "/").map { $0 == path.startIndex ? "/" : String(path[..<$0]) } ?? "."
        let descriptor = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        try check(descriptor, "open", folder)
        defer { close(descriptor) }
        try check(fsync(descriptor), "fsync", folder)
    }

    private static func check(_ result: Int32, _ doing: String, _ path: String) throws(CertificateError) {
        guard result >= 0 else { throw .file(path: path, doing: doing, code: errno) }
    }
}
