import CSpawn
import Glibc

/// Another program, started without a shell.
struct ChildProcess {
    enum Ending: Hashable {
        case exited(Int32)
        case killed(signal: Int32)
    }

    let id: pid_t

    /// Starts `command`, which is looked for in the environment's PATH.
    ///
    /// - Parameters:
    ///   - directory: where it works; nil for this process's.
    ///   - descriptors: what it gets, by the number that it knows it by; others are as they are for this process.
    static func start(
        _ command: [String], environment: [String: String], directory: String? = nil,
        descriptors: [Int32: Int32]
    ) throws(DescriptorFailure) -> ChildProcess {
        guard let program = command.first else { throw DescriptorFailure(errorNumber: ENOENT) }
        var actions = posix_spawn_file_actions_t()
        var attributes = posix_spawnattr_t()
        posix_spawn_file_actions_init(&actions)
        posix_spawnattr_init(&attributes)
        defer {
            posix_spawn_file_actions_destroy(&actions)
            posix_spawnattr_destroy(&attributes)
        }
        if let directory { posix_spawn_file_actions_addchdir_np(&actions, directory) }
        // Out of the way first, so that none is overwritten before it was copied.
        var copies: [Int32] = []
        defer { copies.forEach { close($0) } }
        for (number, descriptor) in descriptors {
            let copy = fcntl(descriptor, F_DUPFD_CLOEXEC, 32)
            guard copy >= 0 else { throw DescriptorFailure(errorNumber: errno) }
            copies.append(copy)
            posix_spawn_file_actions_adddup2(&actions, copy, number)
        }
        var signals = sigset_t()
        sigemptyset(&signals)
        sigaddset(&signals, SIGPIPE)
        posix_spawnattr_setsigdefault(&attributes, &signals)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGDEF))
        var id = pid_t()
        let path = Self.path(of: program, environment)
        let failure = CStrings.with(command) { words in
            CStrings.with(environment.map { "\($0)=\($1)" }) { variables in
                posix_spawn(&id, path, &actions, &attributes, words, variables)
            }
        }
        guard failure == 0 else { throw DescriptorFailure(errorNumber: failure) }
        return ChildProcess(id: id)
    }

    /// Becomes `command`; returns only if that fails.
    static func become(
        _ command: [String], environment: [String: String], descriptors: [Int32: Int32]
    ) -> DescriptorFailure {
        guard let program = command.first else { return DescriptorFailure(errorNumber: ENOENT) }
        // Out of the way first, and so that even a number that stays is open for the other program.
        let copies = descriptors.map { (number: $0, copy: fcntl($1, F_DUPFD_CLOEXEC, 32)) }
        for (number, copy) in copies where copy < 0 || dup2(copy, number) < 0 {
            return DescriptorFailure(errorNumber: errno)
        }
        signal(SIGPIPE, SIG_DFL)
        let path = Self.path(of: program, environment)
        _ = CStrings.with(command) { words in
            CStrings.with(environment.map { "\($0)=\($1)" }) { variables in execve(path, words, variables) }
        }
        return DescriptorFailure(errorNumber: errno)
    }

    func wait() -> Ending {
        var status: Int32 = 0
        while waitpid(id, &status, 0) < 0 {
            if errno != EINTR { return .killed(signal: 0) }
        }
        let signal = status & 0x7F
        return signal == 0 ? .exited((status >> 8) & 0xFF) : .killed(signal: signal)
    }

    func kill() { _ = Glibc.kill(id, SIGKILL) }

    /// As execvp(3) finds it; the name itself if it is nowhere.
    private static func path(of program: String, _ environment: [String: String]) -> String {
        if program.utf8.contains(UInt8(ascii: "/")) { return program }
        let folders = (environment["PATH"] ?? "/usr/local/bin:/usr/bin:/bin").split(separator: ":")
        return folders.map { "\($0)/\(program)" }.first { access($0, X_OK) == 0 } ?? program
    }
}

/// Arrays of C strings with a null pointer at the end.
enum CStrings {
    static func with<Value>(
        _ strings: [String], _ body: (UnsafePointer<UnsafeMutablePointer<CChar>?>) -> Value
    ) -> Value {
        var pointers = strings.map { strdup($0) } + [nil]
        defer { pointers.forEach { free($0) } }
        return pointers.withUnsafeMutableBufferPointer { buffer in
            guard let start = buffer.baseAddress else { preconditionFailure("an array that holds nil is empty") }
            return body(start)
        }
    }
}

/// A pipe whose ends no other program gets unless it is told.
struct Pipe {
    let output: Int32
    let input: Int32

    init() throws(DescriptorFailure) {
        var ends: [Int32] = [0, 0]
        guard pipe2(&ends, Int32(O_CLOEXEC)) == 0 else { throw DescriptorFailure(errorNumber: errno) }
        (output, input) = (ends[0], ends[1])
    }
}
