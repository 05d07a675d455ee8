//! What the language refuses, in whose words, and at which place of the file.

use super::*;
use crate::suggest::nearest;

#[test]
fn what_docker_says() {
    for (text, message) in [
        ("", "the Dockerfile (Dockerfile) cannot be empty"),
        ("# only\n\n", "failed to parse Dockerfile: file with no instructions"),
        ("RUN x\n", "no build stage in current context"),
        ("ARG x\n", "dockerfile contains no stages to build"),
        ("FROM x\nENV a\n", "failed to parse Dockerfile: ENV must have two arguments"),
        (
            "FROM x\nENV a=b c\n",
            "failed to parse Dockerfile: Syntax error - can't find = in \"c\". Must be of the form: name=value",
        ),
        (
            "FROM x\nRUN [1,2]\n",
            "failed to parse Dockerfile: when using JSON array syntax, arrays must be comprised of strings only",
        ),
        ("# escape=x\nFROM x\n", "failed to parse Dockerfile: invalid escape token 'x' does not match ` or \\"),
        (
            "# escape=`\n# escape=`\nFROM x\n",
            "failed to parse Dockerfile: only one escape parser directive can be used",
        ),
        // Splitting comes before meaning, so a later line can be the one that is told.
        ("FORM x\nENV a\n", "failed to parse Dockerfile: ENV must have two arguments"),
    ] {
        assert_eq!(refused(text), message, "{text:?}");
    }
}

#[test]
fn what_docker_says_of_instructions() {
    for (line, message) in [
        ("python x", "unknown instruction: python"),
        ("RUM x", "unknown instruction: RUM (did you mean RUN?)"),
        ("expsoe 80", "unknown instruction: expsoe (did you mean expose?)"),
        ("FROM", "FROM requires either one or three arguments"),
        ("FROM a foo b", "FROM requires either one or three arguments"),
        ("FROM a AS 1a", "invalid name for build stage: \"1a\", name can't start with a number or contain symbols"),
        (
            "COPY x",
            "COPY requires at least two arguments, but only one was provided. Destination could not be determined",
        ),
        ("COPY --quux=1 f /", "unknown flag: --quux"),
        ("COPY --chwon=1 f /", "unknown flag: --chwon (did you mean chown?)"),
        ("COPY --chown f /", "missing a value on flag: --chown"),
        ("COPY --chown=a --chown=b f /", "duplicate flag specified: --chown"),
        ("COPY --link=x f /", "expecting boolean value for flag --link, not: x"),
        ("CMD --x y", "unknown flag: --x"),
        ("ONBUILD ONBUILD RUN x", "Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed"),
        ("ONBUILD from x", "FROM isn't allowed as an ONBUILD trigger"),
        ("ONBUILD MAINTAINER x", "MAINTAINER isn't allowed as an ONBUILD trigger"),
        ("ONBUILD", "ONBUILD requires at least one argument"),
        ("SHELL a b", "SHELL requires the arguments to be in JSON form"),
        ("SHELL []", "SHELL requires at least one argument"),
        ("HEALTHCHECK", "HEALTHCHECK requires at least one argument"),
        ("HEALTHCHECK foo", "Unknown type \"FOO\" in HEALTHCHECK (try CMD)"),
        ("HEALTHCHECK CMD", "Missing command after HEALTHCHECK CMD"),
        ("HEALTHCHECK NONE x", "HEALTHCHECK NONE takes no arguments"),
        ("HEALTHCHECK --interval=x CMD a", "time: invalid duration \"x\""),
        ("HEALTHCHECK --interval=1us CMD a", "Interval \"interval\" cannot be less than 1ms"),
        ("HEALTHCHECK --timeout=-1s CMD a", "Interval \"timeout\" cannot be less than 1ms"),
        ("HEALTHCHECK --retries=x CMD a", "strconv.ParseInt: parsing \"x\": invalid syntax"),
        ("HEALTHCHECK --retries=-1 CMD a", "--retries cannot be negative (-1)"),
        ("VOLUME", "VOLUME requires at least one argument"),
        ("VOLUME [\"\"]", "VOLUME specified can not be an empty string"),
        ("WORKDIR", "WORKDIR requires exactly one argument"),
        ("USER", "USER requires exactly one argument"),
        ("STOPSIGNAL", "STOPSIGNAL requires exactly one argument"),
        ("MAINTAINER", "MAINTAINER requires exactly one argument"),
        ("EXPOSE", "EXPOSE requires at least one argument"),
        ("ENV", "ENV requires at least one argument"),
        ("LABEL", "LABEL requires at least one argument"),
        ("ENV =x", "ENV names can not be blank"),
        ("ARG", "ARG requires at least one argument"),
        ("ARG =x", "ARG names can not be blank"),
        ("RUN --network=foo x", "invalid network mode \"foo\""),
        ("RUN --security=foo x", "security \"foo\" is not valid"),
        (
            "RUN --mount=type=bind,from=$x,target=/x y",
            "'from' doesn't support variable expansion, define alias stage instead",
        ),
    ] {
        assert_eq!(refused(&format!("FROM x\n\n{line}\n")), format!("dockerfile parse error on line 3: {message}"));
    }
}

#[test]
fn errors_know_their_place() {
    let text = "FROM x\nCOPY a \\\n  b\n  COPY --chown=a \\\n   --frm=1 \\\n  a b\nRUN x\n";
    let error = failure(text);
    assert_eq!(error.to_string(), "dockerfile parse error on line 4: unknown flag: --frm (did you mean from?)");
    assert_eq!((error.range, error.column, &*error.line), (Some(Range { first: 4, last: 6 }), 4, "   --frm=1 \\"));
    assert_eq!(
        error.excerpt(text),
        "Dockerfile:4\n--------------------\n   2 |     COPY a \\\n   3 |       b\n   4 | >>>   COPY --chown=a \\\n   \
         5 | >>>    --frm=1 \\\n   6 | >>>   a b\n   7 |     RUN x\n--------------------\n"
    );
    assert_eq!(nearest("frm", ["from"]), Some("from"));
}
