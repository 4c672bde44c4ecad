"""English words that say nothing of what a sentence is about."""

TEXT = """
about above according after again against all also although always among and answer any are aren't
around based because been before being below between both but can can't cannot context could couldn't
did didn't document documents does doesn't doing don't down during each either else even ever every few
following for from further get gets give given gives got had hadn't has hasn't have haven't having her
here hers herself him himself his how however i'd i'll i'm i've include includes including information
into isn't it's its itself just like likely make makes many may mentioned might more most much must
mustn't myself neither nor not note now off often once one only other others our ours ourselves out over
own passage passages per perhaps please provide provided provides question rather really same several
shall she should shouldn't since some such text than that that's the their theirs them themselves then
there there's therefore these they they're this those though through thus too under until upon use used
using very via was wasn't way well were weren't what when where whether which while who whom whose why
will with within without won't would wouldn't yes yet you you'll you're your yours yourself
"""
STOPWORDS = frozenset(TEXT.split())
