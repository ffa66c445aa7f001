"""N rows by NeMo Data Designer against a server: python data_designer_rows.py URL ROWS IN_FLIGHT FOLDER.

Runs in an environment of its own. Prints {"rows": rows with a reply, "seconds": of `create`} as its last line.
"""

from __future__ import annotations

import json
import os
import sys
import time

os.environ.update(NEMO_TELEMETRY_ENABLED="false", DO_NOT_TRACK="1", OTEL_SDK_DISABLED="true")

import data_designer.config as dd
from data_designer.interface import DataDesigner


def main() -> None:
    url, rows, in_flight, folder = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
    provider = dd.ModelProvider(name="bench", endpoint=url, provider_type="openai", api_key="none")
    params = dd.ChatCompletionInferenceParams(max_parallel_requests=in_flight, max_tokens=256, temperature=1.0)
    model = dd.ModelConfig(
        alias="teacher", model="m", provider="bench", inference_parameters=params, skip_health_check=True
    )
    columns = dd.DataDesignerConfigBuilder(model_configs=[model])
    columns.add_column(
        dd.SamplerColumnConfig(name="number", sampler_type="uuid", params=dd.UUIDSamplerParams(prefix="n"))
    )
    columns.add_column(
        dd.LLMTextColumnConfig(name="reply", prompt="Add up the parts of {{ number }}.", model_alias="teacher")
    )
    designer = DataDesigner(artifact_path=folder, model_providers=[provider])
    began = time.perf_counter()
    made = designer.create(columns, num_records=rows, dataset_name="bench").load_dataset()
    seconds = time.perf_counter() - began
    print(json.dumps({"rows": int(made["reply"].notna().sum()), "seconds": seconds}))


if __name__ == "__main__":
    main()
