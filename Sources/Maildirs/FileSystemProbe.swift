import Glibc

/// Tries at start, in a folder of its own, what every delivery relies on: SMB, 9p and some set-ups of GlusterFS lack a part.
struct FileSystemProbe {
    private let directory: OpenFile
    private let faults: FaultPlan?

    private static let reserved = [ENOSPC, EDQUOT]

    /// Throws `.fileSystemLacks` with all that is missing. A full disk is no reason to refuse: mail must be read and deleted there too.
    static func run(root: String, in rootDirectory: OpenFile, faults: FaultPlan?) throws(MaildirError) {
        let name = "\(StoreLeftovers.probe)\(getpid())-\(UInt64.random(in: .min ... .max))"
        // EEXIST: nobody else makes such a name, but a network file system may have been asked twice.
        guard mkdirat(rootDirectory.descriptor, name, 0o700) == 0 || errno == EEXIST else {
            if reserved.contains(errno) { return }
            throw .failed("mkdir", "\(root)/\(name)")
        }
        defer { unlinkat(rootDirectory.descriptor, name, AT_REMOVEDIR) }
        let directory = try OpenFile.openDirectory(name, in: rootDirectory.descriptor)
        let probe = FileSystemProbe(directory: directory, faults: faults)
        defer { for file in StoreLeftovers.probeFiles { unlinkat(directory.descriptor, file, 0) } }
        do throws(MaildirError) {
            let missing = try probe.missing()
            if !missing.isEmpty { throw .fileSystemLacks(root: root, missing) }
        } catch {
            if let number = error.errorNumber, reserved.contains(number) { return }
            throw error
        }
    }

    private func missing() throws(MaildirError) -> [String] {
        var missing: [String] = []
        let file = try create("a")
        if (try? create("a", O_EXCL)) != nil { missing.append("O_EXCL (a file that exists was created again)") }
        do throws(MaildirError) { try sync(file, .syncFile) } catch {
            try missing.append(Self.lack("fsync of files", error))
        }
        do throws(MaildirError) { try checkLink(file, &missing) } catch {
            try missing.append(Self.lack("hard links (link)", error))
        }
        do throws(MaildirError) { try checkRename() } catch { try missing.append(Self.lack("rename", error)) }
        do throws(MaildirError) { try sync(directory, .syncDirectory) } catch {
            try missing.append(Self.lack("fsync of directories", error))
        }
        return missing
    }

    private func create(_ name: String, _ more: Int32 = 0) throws(MaildirError) -> OpenFile {
        try OpenFile.open(name, in: directory.descriptor, flags: O_RDWR | O_CREAT | more, mode: 0o600)
    }

    private func sync(_ file: OpenFile, _ step: FaultPlan.Step) throws(MaildirError) {
        if case .fail(let number) = faults?.decide(step, ".") {
            throw .failed(operation: "fsync", path: ".", errno: number)
        }
        try file.sync("the probe's file or folder")
    }

    private func checkLink(_ file: OpenFile, _ missing: inout [String]) throws(MaildirError) {
        let outcome = try ExclusiveLink.make(
            file, at: "a", in: directory, as: "b", in: directory, fault: faults?.decide(.link, "b"))
        guard outcome == .made else { throw .failed(operation: "link", path: "b", errno: EEXIST) }
        var second = stat()
        let own = try file.status().st_ino
        if fstatat(directory.descriptor, "b", &second, AT_SYMLINK_NOFOLLOW) != 0 || second.st_ino != own {
            missing.append("inode numbers (a file's second name has another one)")
        }
        if linkat(directory.descriptor, "a", directory.descriptor, "b", 0) == 0 {
            missing.append("exclusive link (a name that exists was taken again)")
        } else if errno != EEXIST {
            throw .failed("link", "b")
        }
        unlinkat(directory.descriptor, "b", 0)
    }

    private func checkRename() throws(MaildirError) {
        // ENOENT: a network file system may have done it the first time, and told of the second.
        guard renameat(directory.descriptor, "a", directory.descriptor, "c") == 0 || errno == ENOENT else {
            throw .failed("rename", "c")
        }
        guard faccessat(directory.descriptor, "c", F_OK, 0) == 0 else { throw .failed("rename", "c") }
    }

    /// What a system call's refusal says about the file system. A failing disk is not a lacking file system: that is thrown.
    private static func lack(_ what: String, _ error: MaildirError) throws(MaildirError) -> String {
        guard let number = error.errorNumber, [EPERM, ENOTSUP, ENOSYS, EINVAL, EMLINK, EXDEV, EBADF].contains(number)
        else {
            throw error
        }
        return "\(what): \(String(cString: strerror(number)))"
    }
}
