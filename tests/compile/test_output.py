"""Output of a jitted function: logs, warnings and text on the standard streams, at each call what it would be eagerly."""

import contextlib
import io
import logging
import pdb  # noqa: T100
import pprint
import sys
import threading
import warnings
from types import SimpleNamespace
from warnings import warn

import pytest

import tapegrad as tg

logger = logging.getLogger(__name__)


class Keeps(logging.Handler):
    """Keeps what was logged: the text, the level, and where."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def emit(self, record):
        self.seen.append(
            (record.name, record.levelname, record.getMessage(), record.funcName, record.lineno, record.threadName)
        )


@pytest.fixture
def logged():
    handler = Keeps()
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield handler.seen
    logger.removeHandler(handler)
    logger.setLevel(logging.NOTSET)


def given(value):
    return tg.tensor([1.0, value])


def logs_a_message(x):
    logger.info("hello")
    logger.debug("not shown")
    return x * 2


def logs_tensors(x):
    y = x * 2
    logger.info("x %s, y %s", x, y)
    y.add_(1)
    logger.warning("%(a)s then", {"a": y})
    return y


def logs_numbers(x):
    logger.info("loss %.3f of %d", x.sum().item(), 3)
    logger.error("%s", f"{x.sum().item():.1f}")
    return x * 1


def logs_what_requires_grad(x):
    w = tg.ones(2, requires_grad=True)
    loss = (w * x).sum()
    logger.info("%s %s", w, loss)
    loss.backward()
    logger.info("%s", [w.grad, {"dtype": w.dtype}])
    return w.grad


def logs_by_way_of_the_module(x):
    logging.getLogger(__name__).info("by name %s", x.sum())
    if logger.isEnabledFor(logging.DEBUG):
        return x * 3
    return x * 1


def logs_with_an_adapter(x):
    logging.LoggerAdapter(logger, {"run": 3}).info("adapted")
    return x * 1


def logs_what_is_chosen(x):
    logger.log(logging.INFO if x.sum() > 3 else logging.ERROR, "chosen")
    return x * 1


def writes_text(x):
    sys.stdout.write("text\n")
    sys.stderr.write(f"{x.sum().item():.1f}\n")
    sys.stdout.writelines(["a", "b\n"])
    sys.stdout.flush()
    print("printed", x)
    print("to err", x * 2, file=sys.stderr)
    return x * 1


def writes_by_way_of_a_library(x):
    pprint.pprint({"x": x, "n": [1, 2]})
    return x * 1


def prints_by_another_name(x, show=print):
    show("x", x)
    return x * 1


def collects(x):
    with contextlib.redirect_stdout(io.StringIO()) as collected:
        sys.stdout.write("inside")
    return x * len(collected.getvalue())


LOGGING = [
    logs_a_message, logs_tensors, logs_numbers, logs_what_requires_grad, logs_by_way_of_the_module,
    logs_with_an_adapter, logs_what_is_chosen,
]  # fmt: skip
WRITING = [writes_text, writes_by_way_of_a_library, prints_by_another_name, collects]
VALUES = (1.0, 1.0, 1.0, 5.0, 1.0, 5.0)


@pytest.mark.parametrize("function", LOGGING)
def test_logs(function, logged):
    fast = tg.jit(function)
    for value in VALUES:
        expected = function(given(value)).tolist()
        eagerly = logged.copy()
        logged.clear()
        assert fast(given(value)).tolist() == expected
        assert logged == eagerly
        assert eagerly
        logged.clear()


@pytest.mark.parametrize("function", WRITING)
def test_text(function, capsys):
    fast = tg.jit(function)
    streams = sys.stdout, sys.stderr, print
    for value in VALUES:
        expected = function(given(value)).tolist()
        eagerly = capsys.readouterr()
        assert fast(given(value)).tolist() == expected
        assert capsys.readouterr() == eagerly
        assert (sys.stdout, sys.stderr, print) == streams


def test_a_level_set_between_calls(logged):
    fast = tg.jit(logs_by_way_of_the_module)
    for level in (logging.INFO, logging.INFO, logging.DEBUG, logging.DEBUG, logging.CRITICAL, logging.INFO):
        logger.setLevel(level)
        expected = logs_by_way_of_the_module(given(2.0)).tolist()
        eagerly = logged.copy()
        logged.clear()
        assert fast(given(2.0)).tolist() == expected
        assert logged == eagerly
        logged.clear()
    assert len(fast.specialisations) <= 3


def test_a_record_keeps_what_was_logged_and_has_what_a_factory_adds(logged):
    records = []
    logger.addFilter(records.append)
    factory = logging.getLogRecordFactory()

    def made(*args, **kwargs):
        record = factory(*args, **kwargs)
        record.mark = len(records)
        return record

    def step(x):
        y = x * 2
        logger.info("y %s", y, extra={"y": y, "n": 3})
        y.add_(1)
        return y

    logging.setLogRecordFactory(made)
    try:
        fast = tg.jit(step)
        for n in range(4):
            fast(given(float(n)))
    finally:
        logging.setLogRecordFactory(factory)
        logger.removeFilter(records.append)
    assert [record.mark for record in records] == [0, 1, 2, 3]
    assert [record.y.tolist() for record in records] == [[2.0, 2.0 * n] for n in range(4)]
    assert [record.n for record in records] == [3] * 4
    assert records[0].created < records[-1].created


def test_an_object_whose_text_cannot_be_known_is_refused(logged):
    class Thing:
        pass

    def step(x):
        logger.info("thing %s", Thing())
        return x * 1

    with pytest.raises(tg.UnsupportedError, match=r"(?s)Thing.*str\(\).*test_output.*logger.info"):
        tg.jit(step)(given(1.0))
    assert logged == []


def test_an_exception_logged_is_refused(logged):
    def step(x):
        try:
            raise ValueError("mine")
        except ValueError:
            logger.exception("failed")
        return x * 1

    with pytest.raises(tg.UnsupportedError, match=r"(?s)exception.*test_output"):
        tg.jit(step)(given(1.0))


def warns(x):
    warnings.warn("careful", stacklevel=1)
    return x * 1


def warns_in_a_helper(x):
    warns(x)
    return warns(x)


def warns_by_name(x):
    warn(f"sum {x.sum().item():.0f}", DeprecationWarning, stacklevel=1)
    return x * 1


def warns_at_its_caller(x):
    warnings.warn("called", FutureWarning, stacklevel=2)
    return x * 1


def warns_an_instance(x):
    warnings.warn(RuntimeWarning("instance"), stacklevel=1)
    return x * 1


def warns_quietly(x):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.warn("unheard", stacklevel=1)
    return x * 1


def counts_warnings(x):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warnings.warn("counted", stacklevel=1)
        tg.ones(2, 3, 4).T  # which warns
    return x * len(caught)


def a_library_warns(x):
    return tg.ones(2, 3, 4).T.sum() * x


WARNING = [
    warns, warns_in_a_helper, warns_by_name, warns_at_its_caller, warns_an_instance, warns_quietly, counts_warnings,
    a_library_warns,
]  # fmt: skip


@pytest.mark.parametrize("action", ["always", "default", "ignore", "once", "module"])
@pytest.mark.parametrize("function", WARNING)
def test_warnings(function, action):
    def run(wrap):
        called = wrap(function)
        globals().pop("__warningregistry__", None)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter(action)
            results = [called(given(value)).tolist() for value in VALUES]
        return results, [(str(w.message), w.category, w.filename, w.lineno) for w in caught]

    assert run(tg.jit) == run(lambda f: f)


def test_warnings_that_become_errors():
    fast = tg.jit(warns)
    model = SimpleNamespace(w=tg.zeros(2))

    @tg.jit
    def step(x):
        model.w.add_(x)
        warnings.warn("careful", stacklevel=1)

    for action in ("always", "always", "always", "error", "error", "always"):
        before = model.w.tolist()
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter(action)
            if action == "error":
                with pytest.raises(UserWarning, match="careful"):
                    fast(given(1.0))
                with pytest.raises(UserWarning, match="careful"):
                    step(given(1.0))
                assert model.w.tolist() == before
            else:
                fast(given(1.0))
                step(given(1.0))
                assert len(caught) == 2
                assert model.w.tolist() != before


def test_what_other_threads_put_out_goes_on_while_a_function_is_recorded(logged, capsys):
    recording, written = threading.Event(), threading.Event()

    def other():
        recording.wait(60)
        print("other")
        sys.stdout.write("text")
        logger.info("logged")
        written.set()

    seen = []

    @tg.from_jax
    def meet(x):  # traced while the function is recorded
        if not seen:
            recording.set()
            seen.append(written.wait(60))
        return x * 1

    def step(x):
        print("step")
        return meet(x)

    thread = threading.Thread(target=other)
    thread.start()
    tg.jit(step)(given(1.0))
    thread.join()
    assert capsys.readouterr().out == "other\ntextstep\n"
    assert [text for _, _, text, *_ in logged] == ["logged"]


def test_the_output_before_an_exception(logged, capsys):
    model = SimpleNamespace(fail=False)

    def step(x):
        print("before")
        logger.info("before")
        if model.fail:
            raise ValueError("mine")
        return x * 1

    fast = tg.jit(step)
    fast(given(1.0))
    fast(given(1.0))
    model.fail = True
    for _ in range(2):
        with pytest.raises(ValueError, match="mine"):
            fast(given(1.0))
    assert capsys.readouterr().out == "before\n" * 4
    assert len(logged) == 4


def test_nested_jitted_functions(logged):
    inner = tg.jit(logs_tensors)
    fast = tg.jit(lambda x: inner(x) * 2)
    for value in VALUES:
        fast(given(value))
    texts = [text for _, _, text, *_ in logged]
    logged.clear()
    for value in VALUES:
        logs_tensors(given(value))
    assert texts == [text for _, _, text, *_ in logged]


def test_a_debugger_is_not_held_back(capsys, monkeypatch):
    seen = []

    def step(x):
        print("step")
        pdb.Pdb(nosigint=True, readrc=False).set_trace()
        print("on")
        return x * 1

    monkeypatch.setattr(sys, "stdin", io.StringIO("p 40 + 2\ncontinue\n"))
    fast = tg.jit(step)
    for _ in range(3):
        fast(given(1.0))
        seen.append(capsys.readouterr().out)
    first, *others = seen
    assert first.index("42") < first.index("step\non")
    assert others == ["step\non\n"] * 2


def test_what_an_import_puts_out_is_put_out_once(tmp_path, monkeypatch, capsys):
    (tmp_path / "mumbling.py").write_text("print('imported')\n")
    monkeypatch.syspath_prepend(tmp_path)

    def step(x):
        import mumbling

        return x * len(mumbling.__name__)

    fast = tg.jit(step)
    for _ in range(3):
        fast(given(1.0))
    assert capsys.readouterr().out == "imported\n"
    del sys.modules["mumbling"]


def test_a_warning_at_its_caller_is_at_the_line_of_each_call():
    fast = tg.jit(warns_at_its_caller)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fast(given(1.0))
        fast(given(1.0))
        fast(given(1.0))
    first = caught[0].lineno
    assert [warning.lineno for warning in caught] == [first, first + 1, first + 2]


def test_what_jax_logs_while_it_traces_is_not_repeated(logged):
    def traced(x):
        logger.info("traced")
        return x * 2

    operation = tg.from_jax(traced)
    fast = tg.jit(lambda x: operation(x) + 1)
    for _ in range(2):
        fast(given(1.0))
    assert logged
    logged.clear()
    for _ in range(3):
        fast(given(1.0))
    assert logged == []
