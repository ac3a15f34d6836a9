"""Claims: statements in the YAML that a run decides with statistics over its seeds.

    claims:
      - {expect: "kaiming_normal < xavier_normal", metric: final_train_loss}
      - zeros final_test_accuracy < 0.2
      - "kaiming_normal grad_norm[param=layers.0.weight,step=0] / xavier_normal in [700, 2900]"
      - zeros stuck
      - share(zeros stuck) > 0.9

An entry is a statement, or a mapping with ``expect:`` (the statement), ``metric:`` and ``lr:`` (of terms that name
none)::

    statement = single | "share" "(" single ")" (("<" | ">") number | "in" "[" number "," number "]")
    single    = value ("<" | ">") value | value "in" "[" number "," number "]" | label ["is"] outcome
    value     = term [("/" | "-") term] | number
    term      = label [metric | "…"] ["[" key "=" text {"," key "=" text} "]"]
    outcome   = "stuck" | "learned" | "diverged", each with "[" "lr" "=" number "]" behind it if need be

- A label is one of the experiment's, as typed there, with what ``vary:`` adds to it (``kaiming_normal@depth=22``). It
  may contain spaces: the longest that fits is taken. In single quotes it is taken as it stands. A minus sign that
  means a difference has spaces around it.
- ``claims.metrics.METRICS`` lists the metrics and the keys of each: ``grad_norm[param=head.weight,step=100]``. Every
  one takes ``lr=``. A term that names no metric, or has an ellipsis there, takes the last one before it with all its
  keys, or else the first one after it, or else that of ``metric:``; keys of its own come before those.
- ``share(…)`` is the share of seeds at which a statement holds.
- The learning rate is that of ``lr=``, else that of the claim, else the only one, else the one that ``select:`` chose.

See ``claims.decide`` for how they are decided.
"""
