// NVRTC: kernels become shared objects by the host's C++ compiler.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <regex>
#include <set>
#include <sstream>
#include <spawn.h>
#include <sys/wait.h>

#include "driver.hpp"

extern char **environ;

namespace files = std::filesystem;

enum nvrtcResult : int {
    NVRTC_SUCCESS = 0,
    NVRTC_INVALID_INPUT = 3,
    NVRTC_COMPILATION = 6,
    NVRTC_INTERNAL_ERROR = 11,
};

namespace {

struct Program {
    std::string source, name;
    std::vector<std::pair<std::string, std::string>> headers;
    std::string log, image;
};

// The folder of this library; the headers of the emulation are in `device` below it.
files::path ownFolder() {
    Dl_info info;
    dladdr(reinterpret_cast<void *>(&ownFolder), &info);
    return files::canonical(info.dli_fname).parent_path();
}

void write(const files::path &path, const std::string &text) {
    files::create_directories(path.parent_path());
    std::ofstream(path, std::ios::binary) << text;
}

std::string read(const files::path &path) {
    std::ostringstream text;
    text << std::ifstream(path, std::ios::binary).rdbuf();
    return text.str();
}

int execute(std::vector<std::string> words, const files::path &log) {
    std::vector<char *> arguments;
    for (std::string &word : words) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 1, log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
    posix_spawn_file_actions_adddup2(&actions, 1, 2);
    pid_t process;
    int status = posix_spawnp(&process, arguments[0], &actions, nullptr, arguments.data(), environ);
    posix_spawn_file_actions_destroy(&actions);
    if (status != 0) return -1;
    if (waitpid(process, &status, 0) < 0) return -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

std::string hostCompiler() {
    if (const char *named = getenv("CXX"); named != nullptr && *named != 0) return named;
    static const std::string found = [] {
        for (const char *name : {"clang++", "g++"})
            if (execute({name, "--version"}, "/dev/null") == 0) return name;
        return "c++";
    }();
    return found;
}

// The definitions among the options of NVRTC, as the host's compiler takes them.
std::vector<std::string> definitions(int count, const char *const *options) {
    std::vector<std::string> result;
    for (int n = 0; n < count; ++n) {
        const std::string option = options[n];
        const std::string longForm = "--define-macro=";
        if (option == "-D" && n + 1 < count) {
            result.push_back(std::string("-D") + options[++n]);
        } else if (option.rfind("-D", 0) == 0) {
            result.push_back(option);
        } else if (option.rfind(longForm, 0) == 0) {
            result.push_back("-D" + option.substr(longForm.size()));
        }
    }
    return result;
}

// Dynamic shared memory becomes a pointer to the block's.
std::string withoutExternArrays(const std::string &text) {
    static const std::regex declaration(
        R"(extern\s+__shared__\s+(?:__attribute__\(\(aligned\([^)]*\)\)\)\s+|alignas\([^)]*\)\s+)*([A-Za-z_][\w ]*?)\s+(\w+)\s*\[\s*\]\s*;)");
    return std::regex_replace(text, declaration, "$1 *const $2 = reinterpret_cast<$1 *>(emulation::arena().block.shared);");
}

// The table of the kernels, which ends their source.
std::string kernelTable(const std::string &text, std::vector<std::string> &names) {
    static const std::regex kernel(
        R"(extern\s*"C"\s*__global__\s+(?:void\s+)?)"
        R"((?:__launch_bounds__\s*\(([^(),]*(?:\([^()]*\)[^(),]*)*)(?:,[^()]*)?\)\s*)?(?:void\s+)?(\w+)\s*\()");
    std::string table;
    for (std::sregex_iterator match(text.begin(), text.end(), kernel), end; match != end; ++match) {
        const std::string name = (*match)[2], bound = (*match)[1].matched ? (*match)[1].str() : "1024";
        names.push_back(name);
        table += "    emulation::describe(\"" + name + "\", &" + name + ", " + bound + "),\n";
    }
    return "\nextern \"C\" __attribute__((visibility(\"default\"))) const emulation::Kernel emulation_kernels[] = {\n"
        + table + "    {}};\n";
}

nvrtcResult compile(Program &program, int optionCount, const char *const *options, const files::path &folder) {
    const files::path own = ownFolder() / "device", source = folder / program.name, log = folder / "log";
    for (const auto &[name, text] : program.headers) write(folder / name, text);
    for (const char *name : {"ptx.cuh", "barriers.cuh", "hopper.cuh"}) write(folder / "common" / name, read(own / name));
    write(source, "#line 1\n" + program.source);

    std::vector<std::string> words = {hostCompiler(), "-x", "c++", "-std=c++17", "-E", "-I", folder, "-include", own / "builtins.hpp"};
    for (const std::string &definition : definitions(optionCount, options)) words.push_back(definition);
    words.insert(words.end(), {source, "-o", folder / "preprocessed"});
    int status = execute(words, log);
    std::vector<std::string> names;
    if (status == 0) {
        std::string text = withoutExternArrays(read(folder / "preprocessed"));
        text += kernelTable(text, names);
        write(folder / "kernels.cpp", text);
        words = {hostCompiler(), "-x", "c++", "-std=c++17", "-O2", "-march=native", "-fPIC", "-shared", "-fvisibility=hidden",
                 "-fno-exceptions", "-fno-rtti", "-fno-strict-aliasing", "-fno-math-errno", "-fno-stack-protector",
                 "-fsanitize=alignment", "-fsanitize-undefined-trap-on-error", "-Wno-psabi", "-Wno-unknown-pragmas",
                 "-D__global__=", "-D__shared__=static thread_local", "-D__launch_bounds__(...)=", "-I", own,
                 folder / "kernels.cpp", "-o", folder / "kernels.so"};
        status = execute(words, log);
    }
    program.log = read(log);
    if (status < 0) program.log += "the host's C++ compiler " + hostCompiler() + " did not run\n";
    if (status != 0) return NVRTC_COMPILATION;
    program.image = read(folder / "kernels.so");
    for (const std::string &name : names)
        program.log += "ptxas info    : Compiling entry function '" + name + "' for 'sm_90a'\nptxas info    : Function properties for "
            + name + "\n    0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads\n"
            + "ptxas info    : Used 0 registers, used 0 barriers\n";
    return NVRTC_SUCCESS;
}

}  // namespace

EXPORTED nvrtcResult nvrtcVersion(int *major, int *minor) {
    *major = 13, *minor = EMULATION_BUILD;
    return NVRTC_SUCCESS;
}
EXPORTED nvrtcResult nvrtcGetNumSupportedArchs(int *count) {
    *count = 4;
    return NVRTC_SUCCESS;
}
EXPORTED nvrtcResult nvrtcGetSupportedArchs(int *archs) {
    const int known[] = {80, 86, 89, 90};
    memcpy(archs, known, sizeof known);
    return NVRTC_SUCCESS;
}
EXPORTED const char *nvrtcGetErrorString(nvrtcResult result) {
    switch (result) {
    case NVRTC_SUCCESS: return "NVRTC_SUCCESS";
    case NVRTC_INVALID_INPUT: return "NVRTC_ERROR_INVALID_INPUT";
    case NVRTC_COMPILATION: return "NVRTC_ERROR_COMPILATION";
    default: return "NVRTC_ERROR_INTERNAL_ERROR";
    }
}

EXPORTED nvrtcResult nvrtcCreateProgram(
    Program **program, const char *source, const char *name, int headerCount, const char *const *headers, const char *const *names
) {
    if (source == nullptr) return NVRTC_INVALID_INPUT;
    *program = new Program;
    (*program)->source = source;
    (*program)->name = name != nullptr && *name != 0 ? name : "default_program";
    for (int n = 0; n < headerCount; ++n) (*program)->headers.emplace_back(names[n], headers[n]);
    return NVRTC_SUCCESS;
}
EXPORTED nvrtcResult nvrtcDestroyProgram(Program **program) {
    delete *program;
    *program = nullptr;
    return NVRTC_SUCCESS;
}

EXPORTED nvrtcResult nvrtcCompileProgram(Program *program, int optionCount, const char *const *options) {
    std::string folder = files::temp_directory_path() / "cuda-emulation-XXXXXX";
    if (mkdtemp(folder.data()) == nullptr) return NVRTC_INTERNAL_ERROR;
    nvrtcResult result;
    try {
        result = compile(*program, optionCount, options, folder);
    } catch (const std::exception &error) {
        program->log += error.what();
        result = NVRTC_INTERNAL_ERROR;
    }
    std::error_code ignored;
    if (setting("POWER_CUDA_EMULATION_KEEP", 0) == 0) files::remove_all(folder, ignored);
    return result;
}

EXPORTED nvrtcResult nvrtcGetProgramLogSize(const Program *program, size_t *bytes) {
    *bytes = program->log.size() + 1;
    return NVRTC_SUCCESS;
}
EXPORTED nvrtcResult nvrtcGetProgramLog(const Program *program, char *text) {
    memcpy(text, program->log.c_str(), program->log.size() + 1);
    return NVRTC_SUCCESS;
}
EXPORTED nvrtcResult nvrtcGetCUBINSize(const Program *program, size_t *bytes) {
    *bytes = program->image.size();
    return NVRTC_SUCCESS;
}
EXPORTED nvrtcResult nvrtcGetCUBIN(const Program *program, char *bytes) {
    memcpy(bytes, program->image.data(), program->image.size());
    return NVRTC_SUCCESS;
}
EXPORTED nvrtcResult nvrtcGetPTXSize(const Program *program, size_t *bytes) { return nvrtcGetCUBINSize(program, bytes); }
EXPORTED nvrtcResult nvrtcGetPTX(const Program *program, char *bytes) { return nvrtcGetCUBIN(program, bytes); }
