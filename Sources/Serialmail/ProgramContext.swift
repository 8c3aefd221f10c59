/// Where a program runs: its arguments and environment, and the descriptors of its protocol (UCSI: 6 reads the network, 7
/// writes to it).
package struct ProgramContext: Sendable {
    /// Behind the program's name.
    package var arguments: [String]
    package var environment: [String: String]
    /// What relative paths are below.
    package var directory = "."
    package var input: Int32 = 0
    package var output: Int32 = 1
    package var diagnostics: Int32 = 2
    package var networkInput: Int32 = 6
    package var networkOutput: Int32 = 7
    /// Where a password may be read.
    package var secretInput: Int32 = 3
    /// How one of these programs is called: its name and arguments follow.
    package var ownCommand = ["/proc/self/exe", "serialmail"]
    /// Whether a program that ends by running another becomes that program, rather than waiting for it.
    package var mayBecomeAnother = true
    /// How long a peer may be silent; nil for what each program has by itself.
    package var patience: Duration?

    package init(arguments: [String], environment: [String: String]) {
        self.arguments = arguments
        self.environment = environment
    }

    /// A path as `open` has to be told it.
    func resolved(_ path: String) -> String {
        path.utf8.first == UInt8(ascii: "/") || directory == "." ? path : "\(directory)/\(path)"
    }

    /// The same for another program of these.
    func with(arguments: [String]) -> ProgramContext {
        var other = self
        other.arguments = arguments
        return other
    }
}

/// Why a program ends before its work is done: its exit code, and a line for people.
package struct ProgramExit: Error, Hashable, Sendable {
    package let code: Int32
    package let message: String?

    init(_ code: Int32, _ message: String?) {
        self.code = code
        self.message = message
    }

    /// Temporary trouble: 111 for serialmail's own programs.
    static func fatal(_ program: String, _ text: String) -> ProgramExit {
        ProgramExit(111, "\(program): fatal: \(text)")
    }

    static func usage(_ program: String, _ text: String) -> ProgramExit {
        ProgramExit(100, "\(program): usage: \(program) \(text)")
    }
}

/// One of the programs.
protocol Program: Sendable {
    static var name: String { get }
    /// One sentence for the list of programs.
    static var abstract: String { get }
    /// What follows the name.
    static var usage: String { get }

    init(_ context: ProgramContext)

    /// - Returns: the exit code.
    func run() throws(ProgramExit) -> Int32
}

extension Program {
    static var usageExit: ProgramExit { .usage(name, usage) }

    static func fatal(_ text: String) -> ProgramExit { .fatal(name, text) }
}
