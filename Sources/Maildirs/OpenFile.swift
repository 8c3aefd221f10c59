import CLinux
import Glibc

/// An open file or directory, closed when the last owner lets go of it.
final class OpenFile: Sendable {
    let descriptor: Int32

    init(_ descriptor: Int32) { self.descriptor = descriptor }

    deinit { close(descriptor) }

    /// Opens `path`, below `directory` or absolute. A symbolic link as the last component is refused; a FIFO does not block.
    /// What is only read gets no new time of access, if it is this process's own.
    static func open(
        _ path: UnsafePointer<CChar>, in directory: Int32 = AT_FDCWD, flags: Int32 = O_RDONLY, mode: mode_t = 0
    ) throws(MaildirError) -> OpenFile {
        let flags = flags | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK
        while true {
            let descriptor =
                flags & O_ACCMODE == O_RDONLY
                ? withoutTrace(flags) { openat(directory, path, $0, mode) } : openat(directory, path, flags, mode)
            if descriptor >= 0 { return OpenFile(descriptor) }
            if errno != EINTR { throw .failed("open", path) }
        }
    }

    static func openDirectory(_ path: UnsafePointer<CChar>, in directory: Int32) throws(MaildirError) -> OpenFile {
        try open(path, in: directory, flags: O_RDONLY | O_DIRECTORY)
    }

    func status() throws(MaildirError) -> stat {
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw .failed("fstat", "descriptor") }
        return status
    }

    /// Makes what was written to the file, or entered into the directory, survive a power cut. Never called again after it
    /// failed: the kernel may have dropped what could not be written, and would report success.
    func sync(_ name: String) throws(MaildirError) {
        while fsync(descriptor) != 0 {
            if errno != EINTR { throw .failed("fsync", name) }
        }
    }

    func write(_ bytes: UnsafeRawBufferPointer, name: String) throws(MaildirError) {
        try write(bytes, UnsafeRawBufferPointer(start: nil, count: 0), name: name)
    }

    func write(_ bytes: [UInt8], name: String) throws(MaildirError) {
        try write(bytes, UnsafeRawBufferPointer(start: nil, count: 0), name: name)
    }

    func write(_ first: [UInt8], _ second: UnsafeRawBufferPointer, name: String) throws(MaildirError) {
        try first.withUnsafeBufferPointer { first throws(MaildirError) in
            try write(UnsafeRawBufferPointer(first), second, name: name)
        }
    }

    /// Writes both, in one call where the system takes it so.
    func write(
        _ first: UnsafeRawBufferPointer, _ second: UnsafeRawBufferPointer, name: String
    ) throws(MaildirError) {
        var done = 0
        let total = first.count + second.count
        while done < total {
            let count = Self.gather(first, second, from: done, into: descriptor)
            if count > 0 {
                done += count
            } else if count == 0 {
                throw .failed(operation: "write", path: name, errno: EIO)
            } else if errno != EINTR {
                throw .failed("write", name)
            }
        }
    }

    private static func gather(
        _ first: UnsafeRawBufferPointer, _ second: UnsafeRawBufferPointer, from done: Int, into descriptor: Int32
    ) -> Int {
        if done >= first.count {
            let rest = UnsafeRawBufferPointer(rebasing: second[(done - first.count)...])
            return Glibc.write(descriptor, rest.baseAddress, rest.count)
        }
        let head = UnsafeRawBufferPointer(rebasing: first[done...])
        return withUnsafeTemporaryAllocation(of: iovec.self, capacity: 2) { vectors in
            vectors[0] = iovec(iov_base: UnsafeMutableRawPointer(mutating: head.baseAddress), iov_len: head.count)
            vectors[1] = iovec(iov_base: UnsafeMutableRawPointer(mutating: second.baseAddress), iov_len: second.count)
            return writev(descriptor, vectors.baseAddress, second.isEmpty ? 1 : 2)
        }
    }

    /// The whole file; a larger one than `bytesMax` is an error.
    func contents(bytesMax: Int, name: String) throws(MaildirError) -> [UInt8] {
        let size = Int(try status().st_size)
        guard size <= bytesMax else { throw .failed(operation: "read", path: name, errno: EFBIG) }
        var bytes = [UInt8](repeating: 0, count: size)
        let count = try bytes.withUnsafeMutableBufferPointer { all throws(MaildirError) in
            var done = 0
            while done < size {
                let rest = UnsafeMutableRawBufferPointer(UnsafeMutableBufferPointer(rebasing: all[done...]))
                let count = try read(into: rest, at: done, name: name)
                if count == 0 { break }
                done += count
            }
            return done
        }
        return Array(bytes[..<count])
    }

    /// Reads up to `bytes.count` bytes at `offset`; 0 at the end of the file.
    func read(
        into bytes: UnsafeMutableRawBufferPointer, at offset: Int, name: String
    ) throws(MaildirError) -> Int {
        while true {
            let count = pread(descriptor, bytes.baseAddress, bytes.count, off_t(offset))
            if count >= 0 { return count }
            if errno != EINTR { throw .failed("read", name) }
        }
    }
}

/// Calls `open` with flags by which reading leaves no time behind, which would be one more change to write to the disk; and
/// without them for what belongs to another user.
func withoutTrace(_ flags: Int32, _ open: (Int32) -> Int32) -> Int32 {
    let descriptor = open(flags | open_without_trace)
    return descriptor < 0 && errno == EPERM ? open(flags) : descriptor
}

extension MaildirError {
    /// The failure of the system call that was made last on this thread.
    static func failed(_ operation: String, _ path: String) -> MaildirError {
        .failed(operation: operation, path: path, errno: errno)
    }

    static func failed(_ operation: String, _ path: UnsafePointer<CChar>) -> MaildirError {
        .failed(operation: operation, path: String(cString: path), errno: errno)
    }
}
