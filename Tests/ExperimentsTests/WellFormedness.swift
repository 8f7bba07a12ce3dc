/// What keeps `text` from being a well-formed XML document (with a document type and without comments or processing
/// instructions), or `nil`.
func wellFormednessFault(_ text: String) -> String? {
    var open: [String] = []
    var rest = text.utf8.drop { $0 != UInt8(ascii: ">") }.dropFirst()[...]
    while let start = rest.firstIndex(of: UInt8(ascii: "<")) {
        if let fault = textFault(String(rest[..<start]) ?? "") { return fault }
        guard let end = rest[start...].firstIndex(of: UInt8(ascii: ">")) else { return "an open tag at the end" }
        let tag = String(rest[rest.index(after: start)..<end]) ?? ""
        rest = rest[rest.index(after: end)...]
        if tag.hasPrefix("/") {
            guard let last = open.popLast(), last == tag.dropFirst() else {
                return "</\(tag.dropFirst())> closes <\(open.last ?? "")>"
            }
        } else {
            if let fault = attributesFault(tag) { return fault }
            if !tag.hasSuffix("/") { open.append(String(tag.prefix { $0 != " " && $0 != "\n" })) }
            if open.isEmpty { return "a second root" }
        }
    }
    return open.isEmpty ? nil : "<\(open.joined(separator: "><"))> left open"
}

private func textFault(_ text: String) -> String? {
    for piece in text.split(separator: "&", omittingEmptySubsequences: false).dropFirst()
    where !["amp;", "lt;", "gt;", "quot;", "#39;"].contains(where: piece.hasPrefix) {
        return "a bare & before \(piece.prefix(12))"
    }
    let control = text.unicodeScalars.first { $0.value < 32 && $0 != "\n" && $0 != "\t" }
    return control.map { "the control character \($0.value)" }
}

/// Attributes are `name="value"`, separated by spaces, no name twice.
private func attributesFault(_ tag: String) -> String? {
    var names: Set<Substring> = []
    var rest = tag.drop { $0 != " " && $0 != "\n" && $0 != "/" }
    while true {
        rest = rest.drop { $0 == " " || $0 == "\n" }
        if rest.isEmpty || rest == "/" { return nil }
        let name = rest.prefix { $0 != "=" && $0 != " " }
        rest = rest.dropFirst(name.count)
        guard rest.hasPrefix("=\""), names.insert(name).inserted else { return "the attribute \(name) in <\(tag.prefix(60))>" }
        let value = rest.dropFirst(2).prefix { $0 != "\"" }
        if let fault = textFault(String(value)) { return fault }
        rest = rest.dropFirst(2 + value.count)
        guard rest.hasPrefix("\"") else { return "an unquoted value in <\(tag.prefix(60))>" }
        rest = rest.dropFirst()
    }
}
