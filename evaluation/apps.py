from django.apps import AppConfig


class EvaluationConfig(AppConfig):
    name = "evaluation"
    verbose_name = "Evaluation"

    def ready(self) -> None:
        from evaluation import checks  # noqa: F401
        from evaluation.findings import gate_over
        from evaluation.policies.standing import under_way
        from training.retraining import ELSEWHERE
        from training.staging import GATES

        ELSEWHERE.append(under_way)
        GATES.append(gate_over)
