#include "CUDAKernels.h"

#pragma clang diagnostic ignored "-Wc23-extensions"

static const char attention_backward_keys[] = {
#embed "attention/backward_keys.cu"
};
static const char attention_backward_queries[] = {
#embed "attention/backward_queries.cu"
};
static const char attention_forward[] = {
#embed "attention/forward.cu"
};
static const char common_copy[] = {
#embed "common/copy.cuh"
};
static const char common_decay[] = {
#embed "common/decay.cuh"
};
static const char common_elements[] = {
#embed "common/elements.cuh"
};
static const char common_expansion[] = {
#embed "common/expansion.cuh"
};
static const char common_exponents[] = {
#embed "common/exponents.cuh"
};
static const char common_fragments[] = {
#embed "common/fragments.cuh"
};
static const char common_hopper[] = {
#embed "common/hopper.cuh"
};
static const char common_output[] = {
#embed "common/output.cuh"
};
static const char common_ptx[] = {
#embed "common/ptx.cuh"
};
static const char common_repeat[] = {
#embed "common/repeat.cuh"
};
static const char common_state_gradient[] = {
#embed "common/state_gradient.cuh"
};
static const char hopper_backward_keys[] = {
#embed "hopper/backward_keys.cu"
};
static const char hopper_backward_queries[] = {
#embed "hopper/backward_queries.cu"
};
static const char hopper_feature_keys[] = {
#embed "hopper/feature_keys.cuh"
};
static const char hopper_feature_outputs[] = {
#embed "hopper/feature_outputs.cuh"
};
static const char hopper_feature_queries[] = {
#embed "hopper/feature_queries.cuh"
};
static const char hopper_column_numbers[] = {
#embed "hopper/column_numbers.cuh"
};
static const char hopper_features[] = {
#embed "hopper/features.cuh"
};
static const char hopper_feature_runs[] = {
#embed "hopper/feature_runs.cuh"
};
static const char hopper_gelu[] = {
#embed "hopper/gelu.cu"
};
static const char hopper_given_rows[] = {
#embed "hopper/given_rows.cuh"
};
static const char hopper_gradient_tile[] = {
#embed "hopper/gradient_tile.cuh"
};
static const char hopper_forward[] = {
#embed "hopper/forward.cu"
};
static const char hopper_item[] = {
#embed "hopper/item.cuh"
};
static const char hopper_key_item[] = {
#embed "hopper/key_item.cuh"
};
static const char hopper_linear_keys[] = {
#embed "hopper/linear_keys.cuh"
};
static const char hopper_odds[] = {
#embed "hopper/odds.cu"
};
static const char hopper_panels[] = {
#embed "hopper/panels.cuh"
};
static const char hopper_product[] = {
#embed "hopper/product.cuh"
};
static const char hopper_projections[] = {
#embed "hopper/projections.cu"
};
static const char hopper_queue[] = {
#embed "hopper/queue.cuh"
};
static const char hopper_row_operands[] = {
#embed "hopper/row_operands.cuh"
};
static const char hopper_row_sets[] = {
#embed "hopper/row_sets.cuh"
};
static const char hopper_state_gradient[] = {
#embed "hopper/state_gradient.cuh"
};
static const char hopper_state_update[] = {
#embed "hopper/state_update.cu"
};
static const char hopper_state_windows[] = {
#embed "hopper/state_windows.cuh"
};
static const char hopper_stored_rows[] = {
#embed "hopper/stored_rows.cuh"
};
static const char hopper_symmetric_gradient[] = {
#embed "hopper/symmetric_gradient.cuh"
};
static const char hopper_symmetric_keys[] = {
#embed "hopper/symmetric_keys.cuh"
};
static const char hopper_symmetric_outputs[] = {
#embed "hopper/symmetric_outputs.cuh"
};
static const char hopper_symmetric_queries[] = {
#embed "hopper/symmetric_queries.cuh"
};
static const char hopper_symmetric_state[] = {
#embed "hopper/symmetric_state.cuh"
};
static const char hopper_turned_row[] = {
#embed "hopper/turned_row.cuh"
};
static const char hopper_turned_vectors[] = {
#embed "hopper/turned_vectors.cuh"
};
static const char hopper_warp_share[] = {
#embed "hopper/warp_share.cuh"
};
static const char layers_activations[] = {
#embed "layers/activations.cuh"
};
static const char layers_embedding[] = {
#embed "layers/embedding.cu"
};
static const char layers_gate[] = {
#embed "layers/gate.cu"
};
static const char layers_loss[] = {
#embed "layers/loss.cu"
};
static const char layers_norm[] = {
#embed "layers/norm.cu"
};
static const char layers_odds[] = {
#embed "layers/odds.cu"
};
static const char layers_optimizer[] = {
#embed "layers/optimizer.cu"
};
static const char layers_pointwise[] = {
#embed "layers/pointwise.cu"
};
static const char layers_reduction[] = {
#embed "layers/reduction.cuh"
};
static const char layers_sums[] = {
#embed "layers/sums.cu"
};
static const char prepare_gates[] = {
#embed "prepare/gates.cu"
};
static const char prepare_gates_header[] = {
#embed "prepare/gates.cuh"
};
static const char prepare_inputs[] = {
#embed "prepare/inputs.cu"
};
static const char state_exchange[] = {
#embed "state/exchange.cu"
};
static const char state_scan[] = {
#embed "state/scan.cu"
};
static const char state_step[] = {
#embed "state/step.cu"
};
static const char state_update[] = {
#embed "state/update.cu"
};

#define FILE_ENTRY(path, text) {path, text, sizeof(text)}

static const struct cuda_kernel_file files[] = {
    FILE_ENTRY("attention/backward_keys.cu", attention_backward_keys),
    FILE_ENTRY("attention/backward_queries.cu", attention_backward_queries),
    FILE_ENTRY("attention/forward.cu", attention_forward),
    FILE_ENTRY("common/copy.cuh", common_copy),
    FILE_ENTRY("common/decay.cuh", common_decay),
    FILE_ENTRY("common/elements.cuh", common_elements),
    FILE_ENTRY("common/expansion.cuh", common_expansion),
    FILE_ENTRY("common/exponents.cuh", common_exponents),
    FILE_ENTRY("common/fragments.cuh", common_fragments),
    FILE_ENTRY("common/hopper.cuh", common_hopper),
    FILE_ENTRY("common/output.cuh", common_output),
    FILE_ENTRY("common/ptx.cuh", common_ptx),
    FILE_ENTRY("common/repeat.cuh", common_repeat),
    FILE_ENTRY("common/state_gradient.cuh", common_state_gradient),
    FILE_ENTRY("hopper/backward_keys.cu", hopper_backward_keys),
    FILE_ENTRY("hopper/backward_queries.cu", hopper_backward_queries),
    FILE_ENTRY("hopper/feature_keys.cuh", hopper_feature_keys),
    FILE_ENTRY("hopper/feature_outputs.cuh", hopper_feature_outputs),
    FILE_ENTRY("hopper/feature_queries.cuh", hopper_feature_queries),
    FILE_ENTRY("hopper/column_numbers.cuh", hopper_column_numbers),
    FILE_ENTRY("hopper/features.cuh", hopper_features),
    FILE_ENTRY("hopper/feature_runs.cuh", hopper_feature_runs),
    FILE_ENTRY("hopper/gelu.cu", hopper_gelu),
    FILE_ENTRY("hopper/given_rows.cuh", hopper_given_rows),
    FILE_ENTRY("hopper/gradient_tile.cuh", hopper_gradient_tile),
    FILE_ENTRY("hopper/forward.cu", hopper_forward),
    FILE_ENTRY("hopper/item.cuh", hopper_item),
    FILE_ENTRY("hopper/key_item.cuh", hopper_key_item),
    FILE_ENTRY("hopper/linear_keys.cuh", hopper_linear_keys),
    FILE_ENTRY("hopper/odds.cu", hopper_odds),
    FILE_ENTRY("hopper/panels.cuh", hopper_panels),
    FILE_ENTRY("hopper/product.cuh", hopper_product),
    FILE_ENTRY("hopper/projections.cu", hopper_projections),
    FILE_ENTRY("hopper/queue.cuh", hopper_queue),
    FILE_ENTRY("hopper/row_operands.cuh", hopper_row_operands),
    FILE_ENTRY("hopper/row_sets.cuh", hopper_row_sets),
    FILE_ENTRY("hopper/state_gradient.cuh", hopper_state_gradient),
    FILE_ENTRY("hopper/state_update.cu", hopper_state_update),
    FILE_ENTRY("hopper/state_windows.cuh", hopper_state_windows),
    FILE_ENTRY("hopper/stored_rows.cuh", hopper_stored_rows),
    FILE_ENTRY("hopper/symmetric_gradient.cuh", hopper_symmetric_gradient),
    FILE_ENTRY("hopper/symmetric_keys.cuh", hopper_symmetric_keys),
    FILE_ENTRY("hopper/symmetric_outputs.cuh", hopper_symmetric_outputs),
    FILE_ENTRY("hopper/symmetric_queries.cuh", hopper_symmetric_queries),
    FILE_ENTRY("hopper/symmetric_state.cuh", hopper_symmetric_state),
    FILE_ENTRY("hopper/turned_row.cuh", hopper_turned_row),
    FILE_ENTRY("hopper/turned_vectors.cuh", hopper_turned_vectors),
    FILE_ENTRY("hopper/warp_share.cuh", hopper_warp_share),
    FILE_ENTRY("layers/activations.cuh", layers_activations),
    FILE_ENTRY("layers/embedding.cu", layers_embedding),
    FILE_ENTRY("layers/gate.cu", layers_gate),
    FILE_ENTRY("layers/loss.cu", layers_loss),
    FILE_ENTRY("layers/norm.cu", layers_norm),
    FILE_ENTRY("layers/odds.cu", layers_odds),
    FILE_ENTRY("layers/optimizer.cu", layers_optimizer),
    FILE_ENTRY("layers/pointwise.cu", layers_pointwise),
    FILE_ENTRY("layers/reduction.cuh", layers_reduction),
    FILE_ENTRY("layers/sums.cu", layers_sums),
    FILE_ENTRY("prepare/gates.cu", prepare_gates),
    FILE_ENTRY("prepare/gates.cuh", prepare_gates_header),
    FILE_ENTRY("prepare/inputs.cu", prepare_inputs),
    FILE_ENTRY("state/exchange.cu", state_exchange),
    FILE_ENTRY("state/scan.cu", state_scan),
    FILE_ENTRY("state/step.cu", state_step),
    FILE_ENTRY("state/update.cu", state_update),
};

const struct cuda_kernel_file *cuda_kernel_files(void) { return files; }

size_t cuda_kernel_file_count(void) { return sizeof(files) / sizeof(files[0]); }
