import Glibc

/// One run of maildirserial's client: names go to its descriptor 0 while results come from its descriptor 1.
struct SerialRound {
    private let child: ChildProcess
    /// The ends of the pipes that are ours; -1 once closed.
    private var namesOut: Int32
    private let results: Int32
    private var toSay: ArraySlice<UInt8>
    /// Named, and without a result.
    private var asked: Set<[UInt8]>
    private var heard: [UInt8] = []

    /// Octets of a result line with its name.
    private static let resultBytesMax = 64 << 10

    init(_ client: [String], names: [[UInt8]], in directory: String, _ context: ProgramContext) throws(ProgramExit) {
        do throws(DescriptorFailure) {
            let down = try Pipe()
            let up = try Pipe()
            defer {
                close(down.output)
                close(up.input)
            }
            namesOut = down.input
            results = up.output
            _ = fcntl(down.input, F_SETFL, O_NONBLOCK)
            do throws(DescriptorFailure) {
                child = try ChildProcess.start(
                    client, environment: context.environment, directory: directory,
                    descriptors: [0: down.output, 1: up.input, 2: context.diagnostics])
            } catch {
                close(down.input)
                close(up.output)
                throw error
            }
        } catch {
            throw MaildirSerial.fatal("unable to run \(client.first ?? ""): \(error.text)")
        }
        toSay = names.flatMap { $0 + [0] }[...]
        asked = Set(names)
    }

    /// Talks with the client until it has no more to say.
    mutating func run(_ outcomes: SerialOutcomes) throws(ProgramExit) {
        do throws(DescriptorFailure) {
            while true {
                if namesOut >= 0, toSay.isEmpty { closeNames() }
                let ready = try Readiness.wait([(namesOut, Int32(POLLOUT)), (results, Int32(POLLIN))], timeout: nil)
                if ready[0] != 0 { say() }
                if ready[1] != 0, try !hear(outcomes) { return }
            }
        } catch {
            throw MaildirSerial.fatal("unable to read from client: \(error.text)")
        }
    }

    mutating func end() -> ChildProcess.Ending {
        closeNames()
        close(results)
        return child.wait()
    }

    /// A client that does not listen any more will say by its results how far it came.
    private mutating func say() {
        let count = toSay.withUnsafeBytes { write(namesOut, $0.baseAddress, $0.count) }
        if count > 0 {
            toSay = toSay.dropFirst(count)
        } else if count < 0, errno != EAGAIN, errno != EINTR {
            closeNames()
        }
    }

    private mutating func closeNames() {
        if namesOut >= 0 { close(namesOut) }
        namesOut = -1
    }

    /// False at the end.
    private mutating func hear(_ outcomes: SerialOutcomes) throws(DescriptorFailure) -> Bool {
        var buffer = [UInt8](repeating: 0, count: 16 << 10)
        let count = read(results, &buffer, buffer.count)
        if count < 0 {
            if errno == EINTR { return true }
            throw DescriptorFailure(errorNumber: errno)
        }
        heard += buffer[..<count]
        takeResults(outcomes)
        if heard.count > Self.resultBytesMax { throw DescriptorFailure(errorNumber: EMSGSIZE) }
        return count > 0
    }

    /// Takes whole results: a name, NUL, a letter, a line.
    private mutating func takeResults(_ outcomes: SerialOutcomes) {
        var start = 0
        while let nul = heard[start...].firstIndex(of: 0),
            let end = heard[(nul + 1)...].firstIndex(of: UInt8(ascii: "\n"))
        {
            let name = Array(heard[start..<nul])
            if end > nul + 1, asked.remove(name) != nil {
                outcomes.take(name, heard[nul + 1], Array(heard[(nul + 2)..<end]))
            } else {
                outcomes.ignore(name)
            }
            start = end + 1
        }
        heard.removeFirst(start)
    }
}
