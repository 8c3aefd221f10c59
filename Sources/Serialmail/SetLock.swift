import Glibc

/// `setlock`: runs a program with a file locked, so that it runs once at a time.
struct SetLock: Program {
    static let name = "setlock"
    static let abstract = "Runs a program while a file is locked."
    static let usage = "[ -nNxX ] file program [ arg ... ]"

    let context: ProgramContext

    init(_ context: ProgramContext) { self.context = context }

    func run() throws(ProgramExit) -> Int32 {
        guard let options = OptionScanner(context.arguments, "nNxX"), options.rest.count >= 2 else {
            throw Self.usageExit
        }
        let path = options.rest[0]
        let isQuiet = options.isOn("x", off: "X")
        let file = open(context.resolved(path), O_WRONLY | O_NDELAY | O_APPEND | O_CREAT, 0o600)
        guard file >= 0 else {
            if isQuiet { return 0 }
            throw Self.fatal("unable to open \(path): \(Printable.error(errno))")
        }
        // The program inherits it, and with it the lock.
        guard lock(file, waits: !options.isOn("n", off: "N")) else {
            let why = errno == EWOULDBLOCK ? "temporary failure" : Printable.error(errno)
            close(file)
            if isQuiet { return 0 }
            throw Self.fatal("unable to lock \(path): \(why)")
        }
        defer { close(file) }
        return try context.hand(to: Array(options.rest.dropFirst()), as: Self.name)
    }

    private func lock(_ file: Int32, waits: Bool) -> Bool {
        while flock(file, waits ? LOCK_EX : LOCK_EX | LOCK_NB) != 0 {
            if errno != EINTR { return false }
        }
        return true
    }
}

extension ProgramContext {
    /// Ends by running another program: becomes it, or waits for it.
    ///
    /// - Parameter descriptors: what it gets, besides what this process has, by the number that it knows it by.
    func hand(
        to command: [String], as program: String, descriptors: [Int32: Int32] = [:]
    ) throws(ProgramExit) -> Int32 {
        let standard = [0: input, 1: output, 2: diagnostics].merging(descriptors) { $1 }
        let failure: DescriptorFailure
        if mayBecomeAnother {
            failure = ChildProcess.become(command, environment: environment, descriptors: standard)
        } else {
            do throws(DescriptorFailure) {
                let child = try ChildProcess.start(
                    command, environment: environment, directory: directory, descriptors: standard)
                if case .exited(let code) = child.wait() { return code }
                return 111
            } catch {
                failure = error
            }
        }
        throw .fatal(program, "unable to run \(command.first ?? ""): \(failure.text)")
    }
}
