// Streams that are immediate, events that take the host's time, graphs that note and replay.
#include <atomic>
#include <chrono>

#include "driver.hpp"

namespace {

typedef std::chrono::steady_clock Clock;

struct Event {
    Clock::time_point time{};
    bool isRecorded = false;
};

struct Executable {
    std::vector<Operation> operations;
};

// Handles 0, 1 and 2 are the default stream.
bool isDefault(const Stream *stream) { return reinterpret_cast<uintptr_t>(stream) <= 2; }

std::atomic<int> capturesOfAll;
thread_local int capturesOfThread;

}  // namespace

CUresult submit(Stream *stream, Operation operation) {
    if (isDefault(stream) || stream->capture == nullptr) return operation();
    stream->capture->operations.push_back(std::move(operation));
    return SUCCESS;
}

bool isCapturing() { return capturesOfAll.load() > 0 || capturesOfThread > 0; }

EXPORTED CUresult cuStreamCreate(Stream **stream, unsigned) {
    REQUIRE_CONTEXT;
    *stream = new Stream;
    return SUCCESS;
}
EXPORTED CUresult cuStreamCreateWithPriority(Stream **stream, unsigned flags, int) { return cuStreamCreate(stream, flags); }
EXPORTED CUresult cuStreamDestroy_v2(Stream *stream) {
    if (isDefault(stream)) return INVALID_VALUE;
    delete stream->capture;
    delete stream;
    return SUCCESS;
}
EXPORTED CUresult cuStreamSynchronize(Stream *stream) {
    return !isDefault(stream) && stream->capture != nullptr ? CAPTURE_UNSUPPORTED : SUCCESS;
}
EXPORTED CUresult cuStreamQuery(Stream *stream) { return cuStreamSynchronize(stream); }
EXPORTED CUresult cuStreamWaitEvent(Stream *, Event *, unsigned) { return SUCCESS; }
EXPORTED CUresult cuLaunchHostFunc(Stream *stream, void (*function)(void *), void *argument) {
    return submit(stream, [=] {
        function(argument);
        return SUCCESS;
    });
}

EXPORTED CUresult cuEventCreate(Event **event, unsigned) {
    REQUIRE_CONTEXT;
    *event = new Event;
    return SUCCESS;
}
EXPORTED CUresult cuEventDestroy_v2(Event *event) {
    delete event;
    return SUCCESS;
}
EXPORTED CUresult cuEventRecord(Event *event, Stream *stream) {
    if (!isDefault(stream) && stream->capture != nullptr) return SUCCESS;
    event->time = Clock::now();
    event->isRecorded = true;
    return SUCCESS;
}
EXPORTED CUresult cuEventSynchronize(Event *) { return isCapturing() ? CAPTURE_UNSUPPORTED : SUCCESS; }
EXPORTED CUresult cuEventQuery(Event *) { return SUCCESS; }
EXPORTED CUresult cuEventElapsedTime(float *milliseconds, const Event *start, const Event *end) {
    if (!start->isRecorded || !end->isRecorded) return INVALID_VALUE;
    *milliseconds = std::chrono::duration<float, std::milli>(end->time - start->time).count();
    return SUCCESS;
}
EXPORTED CUresult cuEventElapsedTime_v2(float *milliseconds, const Event *start, const Event *end) {
    return cuEventElapsedTime(milliseconds, start, end);
}

EXPORTED CUresult cuStreamBeginCapture_v2(Stream *stream, int mode) {
    if (isDefault(stream)) return CAPTURE_UNSUPPORTED;
    if (stream->capture != nullptr) return ILLEGAL_STATE;
    stream->capture = new Graph;
    stream->captureMode = mode;
    if (mode == 0) ++capturesOfAll;
    if (mode == 1) ++capturesOfThread;
    return SUCCESS;
}
EXPORTED CUresult cuStreamEndCapture(Stream *stream, Graph **graph) {
    if (isDefault(stream) || stream->capture == nullptr) return ILLEGAL_STATE;
    *graph = stream->capture;
    stream->capture = nullptr;
    if (stream->captureMode == 0) --capturesOfAll;
    if (stream->captureMode == 1) --capturesOfThread;
    return SUCCESS;
}
EXPORTED CUresult cuStreamIsCapturing(Stream *stream, int *status) {
    *status = !isDefault(stream) && stream->capture != nullptr;
    return SUCCESS;
}

EXPORTED CUresult cuGraphInstantiateWithFlags(Executable **executable, const Graph *graph, uint64_t) {
    *executable = new Executable{graph->operations};
    return SUCCESS;
}
EXPORTED CUresult cuGraphInstantiate_v2(Executable **executable, const Graph *graph, void **, char *, size_t) {
    return cuGraphInstantiateWithFlags(executable, graph, 0);
}
EXPORTED CUresult cuGraphGetNodes(const Graph *graph, void **, size_t *count) {
    *count = graph->operations.size();
    return SUCCESS;
}
EXPORTED CUresult cuGraphUpload(Executable *, Stream *) { return SUCCESS; }
EXPORTED CUresult cuGraphLaunch(Executable *executable, Stream *stream) {
    return submit(stream, [executable] {
        for (const Operation &operation : executable->operations)
            if (const CUresult result = operation(); result != SUCCESS) return result;
        return SUCCESS;
    });
}
EXPORTED CUresult cuGraphExecDestroy(Executable *executable) {
    delete executable;
    return SUCCESS;
}
EXPORTED CUresult cuGraphDestroy(Graph *graph) {
    delete graph;
    return SUCCESS;
}
