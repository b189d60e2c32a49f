using Xunit.Sdk;
using Xunit.v3;

// Two meshes at a time would fight for the machine, and a time-out that comes of that is no finding.
[assembly: Parallelization(Mode = ParallelMode.None)]
