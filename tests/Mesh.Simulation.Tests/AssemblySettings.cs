using Xunit.Sdk;
using Xunit.v3;

// A scenario uses all cores for its seeds already.
[assembly: Parallelization(Mode = ParallelMode.None)]
